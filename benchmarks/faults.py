"""A night that goes wrong: workers are killed, the database restarts, and nothing is lost.

python -m benchmarks.faults --workers 8 --trials 200 --json benchmarks/results/faults.json

A real PostgreSQL server is started on loopback; the workers are processes that join the study as
``optuna-pop worker`` does, with its storage, recovery and retries. Their trainings are simulated: a
pause, and an accuracy by formula. One worker is killed (SIGKILL) every few seconds and another
takes its place; in the middle the database crashes and is away for some seconds.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Annotated, Any

import optuna
import typer
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from optuna_pop import OrderedArchitecture, OrderedSpace, POPPruner, POPSampler
from optuna_pop.curves import CurveTrial
from optuna_pop.experiment import identity, storage, workers
from tests import postgres

SPACE = OrderedSpace({name: range(1, 7) for name in "abcde"})  # 7,776 architectures
NAME = "night"
EPOCHS = 5
RETRIES = 20
"""More than by default: here workers die every few seconds, not once a night."""


def cost(architecture: OrderedArchitecture) -> float:
    """Return a cost that grows along every parameter."""
    return sum(float(architecture[name]) ** 2 for name in "abcde")


class SimulatedTraining:
    """Pauses in place of epochs; accuracy grows along the order."""

    def __init__(self, seconds: float) -> None:
        self._pause = seconds / EPOCHS

    def __call__(self, trial: optuna.Trial) -> tuple[float, float]:
        """Run a trial as ``TrainingObjective`` does, the training aside."""
        workers.begin(trial)
        curve = CurveTrial(trial)
        architecture = SPACE.suggest(curve)
        accuracy = 90.0 - 100.0 / (1.0 + cost(architecture))
        for epoch in range(1, EPOCHS + 1):
            time.sleep(self._pause)
            if epoch < EPOCHS:
                curve.report(accuracy - 10.0 / epoch, epoch)
                if curve.should_prune():
                    raise optuna.TrialPruned
        return accuracy, cost(architecture)


def work(url: str, seconds: float, trials: int, seed: int) -> None:
    """Join the study and train until it holds enough."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = storage.load_study(url, NAME)
    study.sampler, study.pruner = POPSampler(SPACE, cost=cost, seed=seed), POPPruner()
    workers.recover(study)

    def after(study: optuna.Study, _: FrozenTrial) -> None:
        workers.recover(study)
        if completed(study) >= trials:
            study.stop()

    if completed(study) < trials:
        study.optimize(
            SimulatedTraining(seconds), callbacks=[after], catch=(workers.SupersededError,)
        )


def completed(study: optuna.Study) -> int:
    """Count completed trainings."""
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def judge(study: optuna.Study) -> dict[str, int]:
    """Count what went wrong, once nobody works on the study any more."""
    trials = study.get_trials(deepcopy=False)
    begun = {row(t) for t in trials if asked(t)}
    kept = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.WAITING)
    accounted = {row(t) for t in trials if t.state in kept and asked(t)}
    complete = Counter(row(t) for t in trials if t.state == TrialState.COMPLETE)
    return {
        "complete": sum(complete.values()),
        "pruned": sum(t.state == TrialState.PRUNED for t in trials),
        "waiting": sum(t.state == TrialState.WAITING for t in trials),
        "failed": sum(t.state == TrialState.FAIL for t in trials),
        "retries": sum(workers.RETRY_ATTR in t.user_attrs for t in trials),
        "lost": len(begun - accounted),
        "doubled": sum(count > 1 for count in complete.values()),
        "wrong": sum(
            t.values[1] != cost(SPACE.from_params(t.params))
            for t in trials
            if t.state == TrialState.COMPLETE
        ),
        "stuck": sum(t.state == TrialState.RUNNING for t in trials),
    }


def asked(trial: FrozenTrial) -> bool:
    """Whether a trial says what it trains."""
    params = trial.params or trial.system_attrs.get("fixed_params", {})
    return SPACE.distributions().keys() <= params.keys()


def row(trial: FrozenTrial) -> int:
    """Name the architecture of a trial, also of one that waits."""
    params: dict[str, Any] = trial.params or trial.system_attrs["fixed_params"]
    return SPACE.row(SPACE.from_params(params))


def main(
    count: Annotated[int, typer.Option("--workers")] = 8,
    trials: Annotated[int, typer.Option(help="Completed trainings.")] = 200,
    seconds: Annotated[float, typer.Option(help="Of a simulated training.")] = 2.0,
    kill_every: Annotated[float, typer.Option(help="Seconds between two kills.")] = 4.0,
    away: Annotated[float, typer.Option(help="Seconds without a database.")] = 5.0,
    seed: int = 0,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the result here.")] = None,
) -> None:
    """Run the night and count what is lost, doubled or stuck."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with postgres.running() as server:
        sampler = POPSampler(SPACE, cost=cost)
        study = storage.open_study(server.url, NAME, sampler)
        identity.bind(study, space=identity.describe_space(SPACE))
        identity.remember_settings(study, cost_range=None, tolerance=None, retries=RETRIES)
        result = night(server, study, count, trials, seconds, kill_every, away, seed)
    result = {"workers": count, "trials": trials, "training_s": seconds, **result}
    Console().print_json(data=result)
    if json_path:
        json_path.write_text(json.dumps(result, indent=2) + "\n")


def night(
    server: postgres.Server,
    study: optuna.Study,
    count: int,
    trials: int,
    seconds: float,
    kill_every: float,
    away: float,
    seed: int,
) -> dict[str, Any]:
    """Kill and replace workers, and crash the database once, until all is trained."""
    context, choice = multiprocessing.get_context("spawn"), random.Random(seed)
    begun = 0

    def begin() -> BaseProcess:
        nonlocal begun
        begun += 1
        process = context.Process(target=work, args=(server.url, seconds, trials, begun))
        process.start()
        return process

    start = time.monotonic()
    crew = [begin() for _ in range(count)]
    kills = crashes = 0
    died: list[int] = []
    next_kill = start + 15.0  # the first ones need some seconds to import
    while any(worker.is_alive() for worker in crew):
        time.sleep(0.2)
        died += [w.exitcode for w in crew if w.exitcode not in (None, 0, -signal.SIGKILL)]
        if not crashes and completed(study) >= trials / 2:
            server.stop()
            time.sleep(away)
            server.start()
            crashes += 1
        over = completed(study) >= trials
        if not over and time.monotonic() >= next_kill:
            victim = choice.choice([w for w in crew if w.is_alive()])
            os.kill(victim.pid or 0, signal.SIGKILL)
            victim.join()
            kills += 1
            next_kill = time.monotonic() + kill_every
        crew = [w if over or w.is_alive() or w.exitcode == 0 else begin() for w in crew]
    # Killed as the last training ended: what it left is found as by the next command.
    workers.recover(study)
    return {
        "kills": kills,
        "crashes": crashes,
        "died_by_themselves": len(died),
        **judge(study),
        "seconds": round(time.monotonic() - start, 1),
    }


if __name__ == "__main__":
    typer.run(main)
