"""The shell script that measures on a device without Python; POSIX sh and trtexec are enough."""

from __future__ import annotations

from typing import Final

SCRIPT: Final = r"""#!/bin/sh
# Measures the models of this folder with trtexec, on the device that the table is for:
#   sh measure.sh            then bring the folder back, and: optuna-pop profile import FOLDER
# Interrupted or failed in part, it makes only what is missing when it is run again. Lock the clocks
# first (Jetson: sudo nvpmodel -m 0 && sudo jetson_clocks; others: sudo nvidia-smi -lgc MHZ).
# Set TRTEXEC where trtexec is not in the PATH.
set -u
cd "$(dirname "$0")" || exit 2
precision={precision}
mkdir -p engines results
for place in "${{TRTEXEC:-}}" "$(command -v trtexec)" \
    /usr/src/tensorrt/bin/trtexec /opt/tensorrt/bin/trtexec; do
    [ -n "$place" ] && [ -x "$place" ] && break
    place=
done
[ -n "$place" ] || {{ echo "trtexec is not found: set TRTEXEC to where it is" >&2; exit 2; }}
"$place" --help > results/help.txt 2>&1
has() {{ grep -q -e "$1" results/help.txt; }}

if [ ! -s results/device.txt ]; then
    board=$(tr -d '\000' < /proc/device-tree/model 2>/dev/null)
    [ -n "$board" ] || board=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
    gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
    driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -n 1)
    {{
        echo "started=$(date +%s)"
        echo "trtexec=$(grep -o 'TensorRT v[0-9]*' results/help.txt | head -n 1)"
        echo "board=$board"
        echo "gpu=$gpu"
        echo "driver=$driver"
        echo "cores=$(getconf _NPROCESSORS_ONLN)"
        echo "machine=$(uname -m)"
        echo "system=$(uname -s) $(uname -r)"
        echo "memory_kib=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
    }} > results/device.txt
fi

build="--timingCacheFile=engines/timing.cache"
form=onnx
if has --fp16; then
    case $precision in
        float16) build="$build --fp16" ;;
        int8) build="$build --int8" ;;
    esac
elif [ "$precision" = float16 ]; then
    form=typed.onnx  # since TensorRT 11 the model decides
fi
if [ "$precision" != tf32 ] && has --noTF32; then build="$build --noTF32"; fi
if has --profilingVerbosity; then build="$build --profilingVerbosity=detailed"; fi
run=
if has --noDataTransfers; then run="$run --noDataTransfers"; fi
if has --useSpinWait; then run="$run --useSpinWait"; fi

engine() {{
    [ -s "engines/$1.plan" ] && return 0
    # shellcheck disable=SC2086
    "$place" "--onnx=models/$1.$form" "--saveEngine=engines/$1.part" $build \
        --warmUp=0 --duration=0 --iterations=1 > "results/$1.log" 2>&1 &&
        mv "engines/$1.part" "engines/$1.plan"
}}

timed() {{
    # NAME OUT FLAGS...: load the engine, run it, and let OUT appear only when it is whole.
    name=$1 out=$2
    shift 2
    engine "$name" || return 1
    "$place" "--loadEngine=engines/$name.plan" "$@" \
        --warmUp={warm_ms} --duration={seconds} --iterations={runs} \
        >> "results/$name.log" 2>&1 && mv "$out.part" "$out"
}}

failed=
visit() {{
    for each in $2; do
        out="results/$each.$1.times.json"
        [ -s "$out" ] && continue
        echo "round $1: $each"
        # shellcheck disable=SC2086
        timed "$each" "$out" "--exportTimes=$out.part" $run || failed="$failed $each"
    done
}}

layers() {{
    for each in {layered}; do
        out="results/$each.$1.profile.json"
        [ -s "$out" ] && continue
        set -- "$1" "--exportProfile=$out.part"
        if has --exportLayerInfo; then
            set -- "$@" "--exportLayerInfo=results/$each.layers.json"
        fi
        number=$1
        shift
        timed "$each" "$out" "$@" || failed="$failed $each"
        set -- "$number"
    done
}}

{visits}
layers 1
layers 2
if [ -n "$failed" ]; then
    echo "failed (see results/NAME.log):$failed" >&2
    exit 1
fi
echo "Done. Bring this folder back, and: optuna-pop profile import FOLDER --out latency.json"
"""
