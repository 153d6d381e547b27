"""Algorithm 1 on real tables of trained architectures, where the folder is given by --tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import optuna
import pytest

from optuna_pop import OrderedSpace, POPSampler
from tests.order import algorithm1


def test_search_of_200_prunes_as_the_transcription(request: pytest.FixtureRequest) -> None:
    folder: Path | None = request.config.getoption("--tables")
    if folder is None or not (folder / "nas_bench_macro.csv.gz").exists():
        pytest.skip("nas_bench_macro is not there: give its folder with --tables DIR")
    meta = json.loads((folder / "nas_bench_macro.json").read_text())
    rows = np.genfromtxt(folder / "nas_bench_macro.csv.gz", delimiter=",", names=True)
    levels = np.stack([rows[name] for name in meta["levels"]], axis=1).astype(int)
    space = OrderedSpace(
        {name: range(levels[:, i].max() + 1) for i, name in enumerate(meta["levels"])}
    )
    place = [space.row(space.architecture(tuple(vector))) for vector in levels.tolist()]
    lat, acc = np.empty(len(space)), np.empty(len(space))
    lat[place], acc[place] = rows[meta["cost"]], rows[meta["accuracy_runs"][0]]

    for tolerance in (0.0, 0.5):
        sampler = POPSampler(space, cost=lat, tolerance=tolerance, selection="uniform", seed=1)
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        trained: list[int] = []
        for _ in range(200):
            trial = study.ask()
            row = space.row(space.suggest(trial))
            assert row not in trained
            trained.append(row)
            study.tell(trial, (acc[row], lat[row]))
        expected = algorithm1.pruned(
            space.vectors().tolist(), lat.tolist(), acc.tolist(), trained, tolerance
        )
        assert set(sampler.pruned_rows(study).tolist()) == expected
        assert len(expected) > 500, "a search that prunes nothing proves nothing"
