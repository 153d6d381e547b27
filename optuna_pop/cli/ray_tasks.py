"""Trainings of a search as Ray tasks: Ray decides where and when each one runs (extra ``ray``)."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from typing import Any

import optuna

from optuna_pop.cli import joining, running
from optuna_pop.cli.options import console
from optuna_pop.errors import OptunaPopError, StorageError, needs_extra
from optuna_pop.sampler import POPSampler

OVER_ATTR = "optuna_pop:over"
"""User attribute of a study: whether its search ended before it had all trainings it may have."""

_MOST_LOST_IN_A_ROW = 5


@dataclass(frozen=True)
class Task:
    """What a Ray task needs to train one network of a study.

    Attributes:
        storage_url: Of the study, as every node reaches it.
        study: Its name.
        tracking_uri: Of MLflow, as every node reaches it.
        outage_limit_s: How long either may be away.
        processes: That train the network together.
    """

    storage_url: str
    study: str
    tracking_uri: str
    outage_limit_s: float
    processes: int


def search(task: Task, address: str, gpus_per_trial: float, trials: int) -> None:
    """Have a Ray cluster train until a study holds enough, or its search ends for another reason.

    Args:
        task: One training.
        address: ``auto`` for the cluster that runs on this machine; else what ``ray.init`` takes.
        gpus_per_trial: That Ray sets aside for one training; may be a part of one.
        trials: Completed trainings wanted.

    Raises:
        MissingExtraError: if Ray is not installed.
        StorageError: if the cluster or a storage cannot be reached.
    """
    with needs_extra("ray"):
        import ray
    _connect(address)
    # Ray repeats nothing by itself: the study knows what was lost.
    remote = ray.remote(num_gpus=gpus_per_trial, num_cpus=task.processes, max_retries=0)(train_one)
    study, _ = joining.join(task.storage_url, task.study, task.outage_limit_s)
    study.set_user_attr(OVER_ATTR, False)
    pending = [remote.remote(task) for _ in range(_wanted(study, trials))]
    lost, over = 0, False
    try:
        while pending:
            (ended, *_), pending = ray.wait(pending)
            try:
                over = ray.get(ended) or over
                lost = 0
            except OptunaPopError:
                raise
            except ray.exceptions.RayError as error:
                lost += 1
                words = str(error).strip().splitlines()[0]
                console().print(f"A Ray task was lost ({words}).", markup=False)
                running.recover(study)
                if lost >= _MOST_LOST_IN_A_ROW:
                    raise StorageError(
                        f"{lost} Ray tasks in a row were lost, the last one with: {words}; look "
                        "at the cluster's logs, then the same command goes on"
                    ) from error
            if over:
                study.set_user_attr(OVER_ATTR, True)  # what has not begun ends at once
            elif len(pending) < _wanted(study, trials):
                pending.append(remote.remote(task))
    except BaseException:
        _cancel(pending)
        raise
    finally:
        ray.shutdown()


def train_one(task: Task) -> bool:
    """Train one network on a node of the cluster; whether the search is over."""
    running.prepare()
    os.environ["MLFLOW_TRACKING_URI"] = task.tracking_uri
    study, sampler = _joined(task)
    if study.user_attrs.get(OVER_ATTR):
        return True
    return running.run(
        study,
        sampler,
        outage_limit_s=task.outage_limit_s,
        processes=task.processes,
        trainings=1,
    )


@cache  # Ray gives a process one task after another
def _joined(task: Task) -> tuple[optuna.Study, POPSampler[Any]]:
    return joining.join(task.storage_url, task.study, task.outage_limit_s)


def _wanted(study: optuna.Study, trials: int) -> int:
    """How many trainings are still to be begun or under way."""
    return max(0, trials - running.completed(study))


def _connect(address: str) -> None:
    import ray

    try:
        _require_listener(address)
        # Never made here: what Ray listens on cannot be kept to loopback.
        ray.init(address=address, log_to_driver=True)
    except (OSError, ValueError, RuntimeError) as error:
        words = str(error).strip().splitlines()[0]
        raise StorageError(
            f"no Ray cluster answers at {address!r}: {words}; begin one with `ray start --head`"
        ) from error


def _require_listener(address: str) -> None:
    """Raise OSError if nobody listens at ``host:port``: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and "://" not in address:
        socket.create_connection((host, int(port)), timeout=10.0).close()


def _cancel(tasks: list[Any]) -> None:
    """Tell what trains to stop, which puts back its network; take back what has not begun."""
    import ray

    for task in tasks:
        ray.cancel(task, force=False)
