"""What tags and card say of a network that was searched for two devices."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.trial import create_trial

from optuna_pop.findings import Findings
from optuna_pop.profiling import LatencyRecord, LatencyTable
from optuna_pop.spaces.base import ARCHITECTURE_ATTR
from optuna_pop.tracking.dashboard import name_metrics
from optuna_pop.tracking.model_card import model_card
from optuna_pop.tracking.network_facts import Cost, NetworkFacts
from tests.cli.conftest import SPACE, made_up_table

NAMES = ("latency on made up (ms)", "latency on phone (ms)")


def tables(folder: Path) -> tuple[LatencyTable, LatencyTable]:
    (folder / "space.json").write_text(json.dumps(SPACE))
    first = made_up_table(folder)
    device = first.conditions.device.model_copy(update={"name": "phone"})
    other = first.conditions.model_copy(update={"device": device, "precision": "int8"})
    return first, made_up_table(folder, 2.0).model_copy(update={"conditions": other})


def findings_of_two(found: tuple[LatencyTable, LatencyTable]) -> Findings:
    study = optuna.create_study(study_name="two", directions=["maximize", "minimize", "minimize"])
    name_metrics(study, ("mIoU (%)", *NAMES))
    for number, values in enumerate(((40.0, 1.0, 2.0), (50.0, 2.0, 4.0), (45.0, 3.0, 6.0))):
        words = {ARCHITECTURE_ATTR: f"C3={number} | x"}
        study.add_trial(create_trial(values=values, user_attrs=words))
    return Findings.of(study, tables=found)


def facts(found: tuple[LatencyTable, LatencyTable]) -> NetworkFacts:
    record = LatencyRecord(minimum=1.9, median=2.0, spread=0.01, samples=50, time=datetime.now(UTC))
    return NetworkFacts(
        study="two",
        trial=1,
        architecture="C3=1 | x",
        task="segmentation",
        measure="mIoU",
        accuracy=55.0,
        found=50.0,
        test=51.5,
        data="camvid",
        recipe="camvid-short",
        training="t",
        weights="w",
        input_shape=(3, 180, 240),
        classes=2,
        class_names=("sky", "road"),
        normalises=True,
        macs=123_456,
        parameters=1234,
        costs=(
            Cost(NAMES[0], 2.0, found[0], record),
            Cost(NAMES[1], 4.0, found[1], note="its table is of device 'phone'."),
        ),
        commit="abc-dirty",
    )


def test_tags_of_two_devices(tmp_path: Path) -> None:
    found = tables(tmp_path)
    tags = facts(found).tags()
    expected = {
        "latency_on_made_up_ms": "2",
        "measured_latency_on_made_up_ms": "1.9",
        "latency_on_phone_ms": "4",
        "device": "made up; phone",
        "precision": "float32; int8",
        "latency_table": f"{found[0].fingerprint}; {found[1].fingerprint}",
        "mIoU": "55",
        "test_mIoU": "51.5",
        "git_commit": "abc-dirty",
        "cost": "latency_on_made_up_ms",
    }
    assert expected.items() <= tags.items()
    assert "measured_latency_on_phone_ms" not in tags
    assert "git_commit" not in replace(facts(found), commit=None).tags()


def test_card_of_two_devices(tmp_path: Path) -> None:
    found = tables(tmp_path)
    card = model_card(facts(found), findings_of_two(found), "DF-Seg")
    assert card.summary.startswith(f"mIoU 55.00 %, {NAMES[0]} 2, {NAMES[1]} 4: C3=1 | x\n")
    assert len(card.summary) < 5000
    text = card.text
    for said in (
        "gives each pixel of an image one of 2 classes",
        "uint8 `(180, 240, 3)`, RGB, 0 to 255",
        "Classes: 0 sky, 1 road",
        "| mIoU on test samples | 51.50 % |",
        "| mIoU of its trial in the search | 50.00 % |",
        "1.9 ms (minimum of 50 runs",
        "-5.0 %",
        "The whole network was not measured: its table is of device 'phone'.",
        "| **1** | **C3=1 \\| x** | **50.00** | **2** | **4** |",
        "3 networks were trained.",
        "The latency is of int8; the ONNX models and the accuracy here are of float32.",
    ):
        assert said in text
    assert "C3=2" not in text  # not on the boundary


def test_a_data_set_that_does_not_say_how_it_is_normalised(tmp_path: Path) -> None:
    found = tables(tmp_path)
    own = replace(facts(found), normalises=False, class_names=None)
    text = model_card(own, findings_of_two(found), "DF-Seg").text
    assert "float32 `(180, 240, 3)`, normalised as its training data were" in text
    assert "Classes:" not in text
