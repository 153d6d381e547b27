"""What becomes of trials whose process is gone, here processes that really ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from optuna_pop import OrderedSpace
from optuna_pop.experiment import identity, storage, workers
from optuna_pop.ledger import REPRODUCIBLE_ATTR

SPACE = OrderedSpace({"width": [1, 2, 3], "depth": [1, 2, 3]})
DYING = """
import os, sys
from optuna_pop.experiment import storage, workers
from tests.experiment.test_workers import SPACE
study = storage.load_study(sys.argv[1], "s")
trial = study.ask()
workers.begin(trial)
if sys.argv[2] == "whole":
    SPACE.suggest(trial)
elif sys.argv[2] == "part":
    trial.suggest_int("width", 0, 2)
os._exit(1)
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/study.db"


@pytest.fixture
def study(url: str) -> optuna.Study:
    made = storage.open_study(url, "s")
    identity.bind(made, space=identity.describe_space(SPACE))
    identity.remember_settings(made, cost_range=None, tolerance=None, retries=2)
    return made


def die(url: str, how: str) -> None:
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-c", DYING, url, how], cwd=root, check=False)
    assert ended.returncode == 1


def test_a_training_is_begun_again_so_often_and_no_more(study: optuna.Study, url: str) -> None:
    for death in range(2):
        die(url, "whole")
        assert workers.recover(study) == workers.Recovered((death,), ())
    die(url, "whole")
    assert workers.recover(study) == workers.Recovered((), (2,))
    assert [t.state for t in study.trials] == 3 * [TrialState.FAIL]
    assert len({tuple(t.params.items()) for t in study.trials}) == 1
    last = study.trials[-1].user_attrs
    assert last[REPRODUCIBLE_ATTR]
    assert last[identity.ERROR_ATTR] == "its worker died, as 2 before it"
    assert workers.recover(study) == workers.Recovered((), ())


@pytest.mark.parametrize("how", ["part", "none"])
def test_what_was_not_chosen_yet_is_not_begun_again(
    study: optuna.Study, url: str, how: str
) -> None:
    die(url, how)
    assert workers.recover(study) == workers.Recovered((), ())
    assert [t.state for t in study.trials] == [TrialState.FAIL]


def test_what_an_outage_left_behind_is_begun_again_and_no_death(study: optuna.Study) -> None:
    trial = study.ask()
    SPACE.suggest(trial)
    workers.begin(trial)
    assert workers.recover(study) == workers.Recovered((0,), ())
    again = study.trials[1]
    assert again.state == TrialState.WAITING
    assert again.user_attrs == {workers.RETRY_ATTR: 0, workers.DEATHS_ATTR: 0}


def test_the_heartbeat_retries_as_often(study: optuna.Study) -> None:
    first = study.add_trial  # a trial as the heartbeat hands it over: failed, with its attributes
    params = {"width": 1, "depth": 1}
    for deaths, enqueued in ((1, True), (2, False)):
        before = len(study.trials)
        failed = optuna.trial.create_trial(
            state=TrialState.FAIL,
            params=params,
            distributions=dict(SPACE.distributions()),
            user_attrs={workers.DEATHS_ATTR: deaths},
        )
        first(failed)
        workers.retry_stale(study, study.trials[-1])
        assert (len(study.trials) - before == 2) is enqueued


def test_enqueued_twice_it_is_trained_once(study: optuna.Study, url: str) -> None:
    die(url, "whole")
    dead = study.trials[0]
    # As by two workers that find it at the same moment.
    assert workers._enqueue(study, dead, died=True)
    assert workers.recover(study).again == (0,)
    assert [t.state for t in study.trials[1:]] == 2 * [TrialState.WAITING]
    first, second = study.ask(), study.ask()
    workers.begin(first)
    with pytest.raises(workers.SupersededError, match="what trial 0 began"):
        workers.begin(second)
    study.tell(first, (1.0, 1.0))


def test_killed_as_it_is_taken_from_the_queue_it_is_begun_again(
    study: optuna.Study, url: str
) -> None:
    die(url, "whole")
    workers.recover(study)
    die(url, "none")  # takes the retry, and dies before it has any parameter
    assert workers.recover(study).again == (1,)
    again = study.trials[2]
    assert again.system_attrs["fixed_params"] == study.trials[0].params
    assert again.user_attrs[workers.DEATHS_ATTR] == 2


def test_what_the_sampler_chose_anew_is_not_begun_again(study: optuna.Study, url: str) -> None:
    die(url, "whole")
    params = study.trials[0].params
    workers.recover(study)
    retry = study.ask()
    rival = optuna.trial.create_trial(
        state=TrialState.COMPLETE,
        params=params,
        distributions=dict(SPACE.distributions()),
        values=[1.0, 1.0],
    )
    study.add_trial(rival)
    with pytest.raises(workers.SupersededError):
        workers.begin(retry)
