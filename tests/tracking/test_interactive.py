"""Interactive figures: what they show equals the study, and what cannot be shown says why."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import optuna
import plotly.graph_objects as go
import pytest

from optuna_pop import POPSampler
from optuna_pop.errors import InputError, StudyError
from optuna_pop.findings import Findings
from optuna_pop.spaces.decoder import DecoderSpace
from optuna_pop.tracking.interactive import FIGURES, boundary, draw_figures
from optuna_pop.tracking.interactive.boundary import PRUNED_UNSEEN, STILL_OPEN
from optuna_pop.tracking.interactive.decoder import decoders
from optuna_pop.tracking.interactive.latency import estimates
from optuna_pop.tracking.interactive.marks import BOUNDARY, HELD, OTHERS
from optuna_pop.tracking.interactive.order import AGAINST, FOLLOWS, pairs, precedents
from optuna_pop.tracking.interactive.progress import improvement, progress, sequence
from tests.tracking.studies import searched, verified_table

NASTY = "<script>alert(1)</script> %{x}"


@pytest.fixture(scope="module")
def findings() -> Findings:
    return Findings.of(searched())


def trace(figure: go.Figure, name: str) -> Any:
    (found,) = [trace for trace in figure.data if trace.name == name]
    return found


def points(figure: go.Figure, *names: str) -> list[tuple[float, float]]:
    traces = [trace for trace in figure.data if trace.name in names]
    return sorted((x, y) for t in traces for x, y in zip(t.x, t.y, strict=True))


def title(figure: go.Figure) -> str:
    return str(figure.layout.title.text).removeprefix("<b>").removesuffix("</b>")


def test_boundary_shows_every_training_and_the_staircase(findings: Findings) -> None:
    figure = boundary.boundary(findings)
    expected = sorted((e.costs[0], e.accuracy) for e in findings.trained)
    assert points(figure, HELD, OTHERS) == expected
    held = [(e.costs[0], e.accuracy) for e in findings.boundary]
    assert points(figure, HELD) == held
    line = trace(figure, BOUNDARY)
    assert list(zip(line.x, line.y, strict=True))[:-1] == held
    assert line.line.shape == "hv"
    assert line.y[-1] == held[-1][1]
    words = dict(map(tuple, trace(figure, HELD).customdata))
    assert words == {entry.number: entry.architecture for entry in findings.boundary}
    assert title(figure).startswith(f"{len(held)} networks hold")


def test_settled_counts_every_architecture_once(findings: Findings) -> None:
    figure, proof = boundary.settled(findings), findings.certificate
    assert proof is not None
    strips = {t.name: t for t in figure.data if t.yaxis == "y2"}
    counts = {name: int(sum(strip.customdata[::2])) for name, strip in strips.items()}
    assert counts["trained"] == proof.trained
    assert counts[PRUNED_UNSEEN] == proof.pruned
    assert counts[STILL_OPEN] == proof.open
    assert sum(counts.values()) == proof.architectures == 9


def test_pairs_count_what_check_order_counts() -> None:
    # Depth does harm here, so that some pairs contradict the order.
    findings = Findings.of(
        searched(9, accuracy=lambda a: a["width (channels)"] - 5 * (a["depth"] == 3))
    )
    assert findings.order_check is not None
    check, _ = findings.order_check
    figure = pairs(findings)
    against = trace(figure, AGAINST)
    assert check.violations > 0
    assert len(against.x) == check.violations
    assert len(trace(figure, FOLLOWS).x) == check.pairs - check.violations
    assert min(against.y) == pytest.approx(-check.largest)
    assert title(figure).startswith(f"{check.violations} of {check.pairs} comparable pairs")


def test_precedents_are_the_samplers(findings: Findings) -> None:
    (dots,) = precedents(findings).data
    assert findings.sampler is not None
    assert findings.vectors is not None
    assert (dots.x - 1).tolist() == findings.sampler.precedents(findings.vectors).tolist()
    assert dots.y.tolist() == findings.accuracies.tolist()


def test_history_ends_at_the_certificate(findings: Findings) -> None:
    counts = [count for count, _ in findings.history]
    assert counts == list(range(1, len(findings.trained) + 1))
    (_, first), *_, (_, last) = findings.history
    now = findings.certificate
    assert now is not None
    assert (last.trained, last.pruned, last.settled) == (now.trained, now.pruned, now.settled)
    assert first.trained == 1
    pruned = [certificate.pruned for _, certificate in findings.history]
    assert first.pruned == 0 < max(pruned)
    figure = progress(findings)
    assert list(trace(figure, PRUNED_UNSEEN).customdata) == pruned
    stacked = sum(trace(figure, n).y for n in ("trained", PRUNED_UNSEEN, "open"))
    assert np.allclose(stacked, 100)


def test_boundary_only_ever_rises_and_stays_under_its_bound(findings: Findings) -> None:
    figure = improvement(findings)
    line, bound = trace(figure, "boundary"), trace(figure, "highest that the order left possible")
    assert list(line.x) == list(range(1, len(findings.trained) + 1))
    assert (np.diff(line.y) >= 0).all()
    height = dict(zip(line.x, line.y, strict=True))
    for after, at_most in zip(bound.x, bound.y, strict=True):
        assert at_most >= height[after] - 1e-9
        assert at_most >= line.y[-1] - 1e-9  # accuracies here follow the order without noise


def test_sequence_shows_the_boundary_on_the_way(findings: Findings) -> None:
    figure = sequence(findings)
    n = len(findings.trained)
    names = [t.name for t in figure.data]
    assert names[-2:] == [f"after {n}", "trained"]
    dots = trace(figure, "trained")
    assert list(dots.marker.color) == list(range(1, n + 1))
    assert dots.y.tolist() == findings.accuracies.tolist()


@pytest.mark.parametrize(("networks", "error"), [(6, 0.0), (3, 0.1)])
def test_estimates_are_of_fits_that_leave_the_network_out(networks: int, error: float) -> None:
    table = verified_table(networks)
    findings = Findings.of(searched(2), tables=[table])
    dots = trace(estimates(findings), "whole network")
    measured = [network.record.minimum for network in table.networks]
    assert dots.x.tolist() == measured
    # Sums are 1/0.9 too high: with enough networks a factor corrects that, fitted on the others.
    expected = np.array(measured) / (1.0 if networks >= 5 else 0.9)
    assert dots.y.tolist() == pytest.approx(expected.tolist(), rel=1e-6)


def test_decoders_in_frames_per_second() -> None:
    space = DecoderSpace(2, widths=[4])
    sampler: POPSampler[Any] = POPSampler(space, cost=lambda a: float(sum(a.widths)), seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for widths in ((2, 2, 2), (4, 4, 4)):
        study.enqueue_trial({f"width_C{s}": w for s, w in enumerate(widths, start=3)})

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        chosen = space.suggest(trial)
        return float(sum(chosen.widths)), float(sum(chosen.widths))

    study.optimize(objective, n_trials=2)
    dots = trace(decoders(Findings.of(study)), HELD)
    assert dots.x.tolist() == [1000 / 6, 1000 / 12]
    assert list(dots.text) == ["[2, 2, 2]", "[4, 4, 4]"]


def test_several_costs_make_several_figures() -> None:
    findings = Findings.of(searched(8, costs=2))
    found = draw_figures(findings)
    ids = [drawn.id for drawn in found]
    assert len(set(ids)) == len(ids)
    assert {"boundary", "boundary-2", "progress"} <= set(ids)
    assert "progress-2" not in ids
    second = next(drawn for drawn in found if drawn.id == "boundary-2")
    assert second.title == "Boundary: cost 2"
    assert second.plot is not None
    expected = sorted((e.costs[1], e.accuracy) for e in findings.trained)
    assert points(second.plot, HELD, OTHERS) == expected


def plain_study(trials: int) -> optuna.Study:
    """Of a user who has no space of ours, with words that would do harm in a page."""
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(
        study_name=NASTY, directions=["maximize", "minimize"], sampler=sampler
    )

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        trial.set_user_attr("architecture", NASTY)
        return x, x * x + 0.01

    study.optimize(objective, n_trials=trials)
    return study


@pytest.mark.parametrize("trials", [0, 1, 3])
def test_a_study_that_cannot_show_a_figure_says_why(trials: int) -> None:
    drawn = {d.id: d for d in draw_figures(Findings.of(plain_study(trials)))}
    assert len(drawn) == len(FIGURES)
    shown = {name for name, one in drawn.items() if one.plot is not None}
    expected = {0: set(), 1: {"boundary"}, 3: {"boundary", "improvement", "sequence"}}
    assert shown == expected[trials]
    for one in drawn.values():
        assert (one.plot is None) == bool(one.lacking)
    assert "does not hold the space" in str(drawn["pairs"].lacking)
    if not trials:
        assert "no completed training" in str(drawn["boundary"].lacking)


def test_errors_are_of_the_projects_own() -> None:
    findings = Findings.of(searched(1))
    with pytest.raises(InputError, match="no two trained networks are comparable"):
        pairs(findings)
    with pytest.raises(StudyError, match="no latency table"):
        estimates(findings)
    with pytest.raises(StudyError, match="did not search decoders"):
        decoders(findings)


def test_words_of_users_are_no_markup() -> None:
    for drawn in draw_figures(Findings.of(plain_study(4))):
        if drawn.plot is not None:
            text = json.dumps(json.loads(drawn.plot.to_json()))
            assert "<script" not in text
            assert "%{x} (" not in text
            if drawn.id == "boundary":
                assert "&lt;script&gt;" in text
