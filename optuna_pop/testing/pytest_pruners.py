"""A conformance suite for pruners, in the style of ``optuna.testing.pytest_samplers``.

Subclass ``PrunerTestCase`` and give it a ``pruner`` fixture, a function that makes a new pruner
(and, if it needs one, a ``sampler`` fixture)::

    class TestMine(PrunerTestCase):
        @pytest.fixture
        def pruner(self) -> Callable[[], BasePruner]:
            return MyPruner

Every test runs on a study with accuracy alone and on one with accuracy and cost, on several
storages, with trials wrapped in ``CurveTrial``.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, StudyDirection
from optuna.trial import Trial, TrialState

from optuna_pop.curves import CurveTrial, curve_of

WIDTHS, DEPTHS, STEPS = 4, 4, 5


def learn(trial: CurveTrial, accuracy: Callable[[int, int], float]) -> tuple[float, float]:
    """Report an accuracy that grows to its final value, and end when the pruner wants it."""
    width, depth = trial.suggest_int("width", 1, WIDTHS), trial.suggest_int("depth", 1, DEPTHS)
    final = accuracy(width, depth)
    for step in range(STEPS):
        trial.report(final * (step + 1) / STEPS, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return final, float(width * depth)


def saturating(width: int, depth: int) -> float:
    """Accuracy that follows the order and saturates, so that there is something to prune."""
    return min(60.0, 30.0 + 6.0 * width + 4.0 * depth)


class PrunerTestCase:
    """What any pruner must do.

    Attributes:
        steadfast: Whether asking twice without a new report must give the same answer.
    """

    steadfast = True

    @pytest.fixture
    def pruner(self) -> Callable[[], BasePruner]:
        """Make a pruner."""
        raise NotImplementedError

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        """Make a sampler of ``width`` and ``depth``."""
        return lambda: RandomSampler(seed=0)

    @pytest.fixture(params=["memory", "sqlite", "journal"])
    def storage(self, request: pytest.FixtureRequest, tmp_path: Path) -> BaseStorage:
        """Make a storage."""
        if request.param == "sqlite":
            return RDBStorage(f"sqlite:///{tmp_path}/study.db")
        if request.param == "journal":
            return JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
        return InMemoryStorage()

    @pytest.fixture(params=[1, 2], ids=["one_objective", "two_objectives"])
    def study(
        self,
        request: pytest.FixtureRequest,
        storage: BaseStorage,
        pruner: Callable[[], BasePruner],
        sampler: Callable[[], BaseSampler],
    ) -> Study:
        """Make a study with one or two objectives."""
        return optuna.create_study(
            storage=storage,
            sampler=sampler(),
            pruner=pruner(),
            directions=[StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE][: request.param],
        )

    def objective(
        self, study: Study, accuracy: Callable[[int, int], float] = saturating
    ) -> Callable[[Trial], float | tuple[float, float]]:
        """Make an objective for the study's directions."""

        def call(trial: Trial) -> float | tuple[float, float]:
            values = learn(CurveTrial(trial), accuracy)
            return values if len(study.directions) > 1 else values[0]

        return call

    def test_states(self, study: Study) -> None:
        """A trial ends complete with all of its curve, or pruned with what it reported."""
        study.optimize(self.objective(study), n_trials=16)
        for trial in study.trials:
            curve = curve_of(trial)
            assert trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
            if trial.state == TrialState.COMPLETE:
                assert len(curve) == STEPS
                assert len(trial.values) == len(study.directions)
            else:
                assert 1 <= len(curve) <= STEPS
            assert sorted(curve) == list(range(len(curve)))

    def test_the_best_is_never_pruned(self, study: Study) -> None:
        """What beats everything at every step goes on to its end."""
        study.enqueue_trial({"width": WIDTHS, "depth": DEPTHS})
        study.optimize(self.objective(study, lambda width, depth: 10.0 * width + depth), n_trials=9)
        assert study.trials[0].state == TrialState.COMPLETE
        assert max(t.values[0] for t in study.trials if t.values) == 10.0 * WIDTHS + DEPTHS

    def test_nothing_reported(self, study: Study) -> None:
        """Without a report nothing is pruned."""
        study.optimize(self.objective(study), n_trials=5)
        trial = CurveTrial(study.ask())
        assert not trial.should_prune()

    def test_repeated_step_is_ignored(self, study: Study) -> None:
        """The first value of a step stands, as Optuna has it."""
        trial = CurveTrial(study.ask())
        trial.report(0.5, 1)
        with pytest.warns(UserWarning, match="already"):
            trial.report(0.9, 1)
        assert curve_of(study.trials[0]) == {1: 0.5}

    def test_bad_reports(self, study: Study) -> None:
        """What is no number, or a negative step, is refused and leaves no trace."""
        trial = CurveTrial(study.ask())
        with pytest.raises(TypeError):
            trial.report("much", 0)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            trial.report(0.5, None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="step"):
            trial.report(0.5, -1)
        assert curve_of(study.trials[0]) == {}

    def test_nan_is_survived(self, study: Study) -> None:
        """A report of NaN breaks neither its own trial's decision nor those of later ones."""
        study.optimize(self.objective(study), n_trials=6)
        trial = CurveTrial(study.ask())
        for name in ("width", "depth"):
            trial.suggest_int(name, 1, WIDTHS)
        trial.report(math.nan, 0)
        assert trial.should_prune() in (True, False)
        study.tell(trial.number, state=TrialState.FAIL)
        before = len(study.trials)
        study.optimize(self.objective(study), n_trials=4)
        assert len(study.trials) > before
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        assert all(t.state in ended for t in study.trials[before:])

    def test_failed_and_running_trials_do_not_disturb(self, study: Study) -> None:
        """Other trials may have ended badly, or not yet."""
        running = CurveTrial(study.ask())
        running.report(99.0, 0)
        study.tell(study.ask(), state=TrialState.FAIL)
        study.optimize(self.objective(study), n_trials=8)
        assert all(t.state.is_finished() for t in study.trials[1:])

    def test_same_question_same_answer(self, study: Study) -> None:
        """Asking twice changes nothing."""
        study.optimize(self.objective(study), n_trials=6)
        trial = CurveTrial(study.ask())
        for name in ("width", "depth"):
            trial.suggest_int(name, 1, WIDTHS)
        for step in range(3):
            trial.report(1.0, step)
            answers = {trial.should_prune(), trial.should_prune()}
            assert len(answers) == 1 or not self.steadfast

    def test_pickles(self, study: Study, pruner: Callable[[], BasePruner]) -> None:
        """A pruner travels to other processes, also when it was used."""
        study.optimize(self.objective(study), n_trials=4)
        again = pickle.loads(pickle.dumps(study.pruner))
        assert type(again) is type(pruner())
