"""The card of a registered network: what it is, how good, how fast, how made, and its limits."""

from __future__ import annotations

from optuna_pop.findings import Findings
from optuna_pop.profiling import LatencyTable
from optuna_pop.tracking.model_package import CARD, FIGURE, Card
from optuna_pop.tracking.network_facts import Cost, NetworkFacts

_MOST_NAMES = 40  # of classes that a card lists


def model_card(facts: NetworkFacts, findings: Findings, name: str) -> Card:
    """Write the card of a network.

    Args:
        facts: What is known of the network.
        findings: Of the study that found it.
        name: Of the registered model.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    from optuna_pop.tracking import study_figures

    what = f"{facts.measure} {facts.accuracy:.2f} %"
    costs = ", ".join(f"{cost.name} {cost.value:.4g}" for cost in facts.costs)
    core = [_use(facts, name), _numbers(facts), _latency(facts)]
    summary = [f"{what}, {costs}: {facts.architecture}\n", _what(facts), *core]
    summary.append(f"{CARD} of the model has the whole card, with the boundary and its limits.\n")
    text = [f"# {name}: `{facts.architecture}`\n", _what(facts), *core]
    text += [_boundary(facts, findings), _making(facts, findings), _limits(facts)]
    return Card("\n".join(text), "\n".join(summary), study_figures.boundary(findings))


def _what(facts: NetworkFacts) -> str:
    does = {
        "segmentation": f"gives each pixel of an image one of {facts.classes} classes",
        "classification": f"gives an image one of {facts.classes} classes",
    }[facts.task]
    return (
        f"A network that {does}, found by Partial Order Pruning (optuna-pop) as trial "
        f"{facts.trial} of study `{facts.study}`, trained on `{facts.data}`.\n"
    )


def _use(facts: NetworkFacts, name: str) -> str:
    channels, height, width = facts.input_shape
    kind = (
        f"uint8 `({height}, {width}, {channels})`, {'RGB, ' if channels == 3 else ''}0 to 255; the "
        "model normalises it itself"
        if facts.normalises
        else f"float32 `({height}, {width}, {channels})`, normalised as its training data were, "
        "since its data set does not say how"
    )
    gives = {
        "segmentation": f"the class of each pixel, uint8 `({height}, {width})`",
        "classification": 'a dictionary: `"label"`, int64 `(1,)`, and `"probabilities"` of all '
        f"classes, float32 `({facts.classes},)`",
    }[facts.task]
    names = ""
    if facts.class_names is not None and facts.class_names[0] != "0":
        shown = [f"{i} {word}" for i, word in enumerate(facts.class_names[:_MOST_NAMES])]
        names = f"\n- Classes: {', '.join(shown)}{', ...' if facts.classes > len(shown) else ''}"
    return (
        "## Use\n\n```python\nimport mlflow\n\n"
        f'model = mlflow.pyfunc.load_model("models:/{name}@ALIAS")  # or models:/{name}/VERSION\n'
        "answer = model.predict(image)\n```\n\n"
        f"- `image`: {kind}.\n- `answer`: {gives}.{names}\n"
        "- Needs MLflow, NumPy and ONNX Runtime; no torch. `model.onnx` does the same wherever "
        "ONNX runs; `extra/network.onnx` is the bare network, `extra/weights.safetensors` are "
        "torch's weights, `extra/example.npy` is an image that it takes.\n"
    )


def _numbers(facts: NetworkFacts) -> str:
    rows = [(f"{facts.measure} on held-out samples", f"{facts.accuracy:.2f} %")]
    if facts.test is not None:
        rows.append((f"{facts.measure} on test samples", f"{facts.test:.2f} %"))
    if abs(facts.found - facts.accuracy) > 0.005:
        rows.append((f"{facts.measure} of its trial in the search", f"{facts.found:.2f} %"))
    for cost in facts.costs:
        rows.append((cost.name, f"{cost.value:.4g}"))
        if cost.latency is not None:
            rows.append((f"{cost.name}, measured", f"{cost.latency:.4g}"))
    rows.append(("multiply-accumulates", f"{facts.macs:,}"))
    rows.append(("parameters", f"{facts.parameters:,}"))
    lines = "\n".join(f"| {_cell(name)} | {value} |" for name, value in rows)
    return f"## Numbers\n\n| | |\n| --- | ---: |\n{lines}\n"


def _latency(facts: NetworkFacts) -> str:
    said = [_of_cost(cost) for cost in facts.costs]
    return "## How latency is known\n\n" + "\n".join(said) + "\n"


def _of_cost(cost: Cost) -> str:
    if cost.table is None:
        return (
            f"- {cost.name}: {cost.value:.4g} is what the study's objective returned. The study "
            "carries no latency table, so on which device and how it was measured is not known "
            f"here.{f' {cost.note}' if cost.note else ''}"
        )
    by_table = (
        f"- {cost.name}: {cost.value:.4g} is the sum of block latencies of latency table "
        f"`{cost.table.fingerprint}`, {_conditions(cost.table)}."
    )
    if cost.measured is None or cost.latency is None:
        return f"{by_table} The whole network was not measured: {cost.note}"
    record = cost.measured
    return (
        f"{by_table} The whole network, measured there before it was registered: "
        f"{cost.latency:.4g} ms ({cost.table.statistic} of {record.samples} runs, halves "
        f"{record.spread:.2g} ms apart, {record.time:%Y-%m-%d}), {100 * (cost.excess or 0):+.1f} %."
    )


def _conditions(table: LatencyTable) -> str:
    where = table.conditions
    version = where.versions.get(where.engine, "")
    threads = "" if where.accelerator else f", {where.threads} thread"
    return (
        f"measured on {where.device_name} with {where.engine} {version}".rstrip()
        + f", {where.precision}, batch {where.batch}{threads}, {where.date:%Y-%m-%d}"
    )


def _boundary(facts: NetworkFacts, findings: Findings) -> str:
    head = ["trial", "architecture", findings.accuracy_name, *findings.cost_names]
    lines = [f"| {' | '.join(map(_cell, head))} |", "|" + " --- |" * len(head)]
    for entry in findings.boundary:
        mark = "**" if entry.number == facts.trial else ""
        cells = [
            str(entry.number),
            _cell(entry.architecture),
            f"{entry.accuracy:.2f}",
            *(f"{cost:.4g}" for cost in entry.costs),
        ]
        lines.append("| " + " | ".join(f"{mark}{cell}{mark}" for cell in cells) + " |")
    return (
        f"## Its place on the boundary\n\n![Boundary of study {facts.study}]({FIGURE})\n\n"
        + "\n".join(lines)
        + f"\n\n{len(findings.trained)} networks were trained.\n"
    )


def _making(facts: NetworkFacts, findings: Findings) -> str:
    searched = (
        f"Searched among {findings.space}." if findings.space else "The study holds no space."
    )
    commit = f" Git commit `{facts.commit}`." if facts.commit else ""
    return (
        f"## How it was made\n\n{searched} Trained on `{facts.data}` by recipe {facts.recipe}; "
        f"accuracy is of samples held out from the first step on. Training `{facts.training}`, "
        f"weights `{facts.weights}`.{commit}\n"
    )


def _limits(facts: NetworkFacts) -> str:
    _, height, width = facts.input_shape
    limits = [
        f"It takes images of {height} x {width} pixels (height x width), one at a time.",
        "Latency is of the network alone, at batch 1, on the device named; normalising an image "
        "and choosing classes come on top, and another device is another matter.",
        f"It was judged on `{facts.data}` alone. How it does on other images, in other light or "
        "for people and places that are not in those data, is not known.",
    ]
    lower = {table.conditions.precision for table in facts.tables} - {"float32", "tf32"}
    if lower:
        limits.append(
            f"The latency is of {' and '.join(sorted(lower))}; the ONNX models and the accuracy "
            "here are of float32."
        )
    return "## Limits\n\n" + "\n".join(f"- {limit}" for limit in limits) + "\n"


def _cell(words: str) -> str:
    return " ".join(words.replace("|", "\\|").split())
