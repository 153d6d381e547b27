"""A FAKE trtexec, as there is no GPU to test on: it times nothing.

Run times come from the sizes of models. Command line, output and files are in the formats of
NVIDIA's trtexec of the version in ``FAKE_TRTEXEC_VERSION``: 8201, 100300 or 110000.
"""

import json
import os
import sys
from pathlib import Path

VERSION = int(os.environ.get("FAKE_TRTEXEC_VERSION", "100300"))
HELP = {
    8201: "--onnx= --fp16 --int8 --noTF32 --nvtxMode=mode --noDataTransfers --useSpinWait",
    100300: "--onnx= --fp16 --int8 --noTF32 --profilingVerbosity=mode --noDataTransfers "
    "--useSpinWait --exportLayerInfo=<file>",
    110000: "--onnx= --noTF32 --profilingVerbosity=mode --exportLayerInfo=<file>",
}[VERSION]


def main() -> int:
    flags = dict(word.partition("=")[::2] for word in sys.argv[1:])
    print(f"&&&& RUNNING TensorRT.trtexec [TensorRT v{VERSION}] # {' '.join(sys.argv)}")
    if "--help" in flags:
        print(HELP)
        return 0
    wrong = [flag for flag in ("--fp16", "--int8", "--noDataTransfers") if flag in flags]
    if any(flag not in HELP for flag in wrong):
        print("[E] Unknown option", wrong)
        return 1
    if "--onnx" in flags:
        return build(Path(flags["--onnx"]), Path(flags["--saveEngine"]))
    plan = json.loads(Path(flags["--loadEngine"]).read_text())
    runs = max(int(flags["--iterations"]), 10)
    if "--exportTimes" in flags:
        Path(flags["--exportTimes"]).write_text(json.dumps([times(plan, i) for i in range(runs)]))
    if "--exportProfile" in flags:
        Path(flags["--exportProfile"]).write_text(json.dumps(profile(plan, runs)))
    if "--exportLayerInfo" in flags:
        Path(flags["--exportLayerInfo"]).write_text(json.dumps(information(plan)))
    return 0


def build(source: Path, target: Path) -> int:
    import onnx

    graph = onnx.load(source).graph
    refused = os.environ.get("FAKE_TRTEXEC_REFUSES")
    if refused and refused in source.name:
        print("[E] [TRT] ModelImporter.cpp: While parsing node number 3 [Conv -> 'y']: refused")
        return 1
    layers: list[list[str]] = []
    for node in graph.node:
        if node.op_type == "Relu" and layers:  # fused into what it follows
            layers[-1].append(node.name)
        else:
            layers.append([node.name])
    fp16 = "--fp16" in sys.argv or source.name.endswith(".typed.onnx")
    target.write_text(json.dumps({"layers": layers, "fp16": fp16}))
    return 0


def layer_ms(plan: dict[str, list[list[str]]]) -> list[float]:
    factor = 0.5 if plan["fp16"] else 1.0
    return [factor * (0.01 + 0.001 * len(" ".join(names))) for names in plan["layers"]]


def times(plan: dict[str, list[list[str]]], run: int) -> dict[str, float]:
    ms, begin = sum(layer_ms(plan)) + 0.005 + 1e-5 * (run % 3), 2.0 * run
    return {
        "startEnqMs": begin,
        "endEnqMs": begin + 0.004,
        "startH2dMs": begin,
        "endH2dMs": begin,
        "startComputeMs": begin,
        "endComputeMs": begin + ms,
        "startD2hMs": begin + ms,
        "endD2hMs": begin + ms,
        "h2dMs": 0.0,
        "computeMs": ms,
        "d2hMs": 0.0,
        "latencyMs": ms,
    }


def profile(plan: dict[str, list[list[str]]], runs: int) -> list[dict[str, object]]:
    ms = layer_ms(plan)
    rows: list[dict[str, object]] = [{"count": runs}]
    for names, each in zip(plan["layers"], ms, strict=True):
        name = " + ".join(names) if VERSION < 110000 else f"__myl_{len(rows)}"
        row = {"name": name, "timeMs": each * runs, "averageMs": each, "medianMs": each}
        row["percentage"] = 100 * each / sum(ms)
        if VERSION < 10_000:
            del row["medianMs"]
        rows.append(row)
    return rows


def information(plan: dict[str, list[list[str]]]) -> dict[str, object]:
    layers = []
    for number, names in enumerate(plan["layers"], start=1):
        name = " + ".join(names) if VERSION < 110000 else f"__myl_{number}"
        metadata = "\x1e".join(f"[ONNX Layer: {node}]" for node in names)
        layers.append({"Name": name, "LayerType": "kgen", "Metadata": metadata})
    return {"Layers": layers, "Bindings": ["input", "output"]}


if __name__ == "__main__":
    sys.exit(main())
