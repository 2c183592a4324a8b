"""What a training step costs: imgrec's fit beside Keras's, tf_keras's and PyTorch with timm's network.

python -m benchmarks.train_step [--models resnet50,…] [--precisions float32,mixed_bfloat16] [--batch 16]
    [--side 224] [--rounds 7] [--timm PYTHON] [--tf-keras PYTHON] [--threads 2] [--small] [--out FILE]

Each side is a process of its own that compiles and warms up uncounted, and then takes its turns with the
others. SGD with Nesterov momentum and cross-entropy for all, on one batch in memory. Printed are the medians
of wall and processor seconds a step, those of each round's ratio to imgrec, and each process's peak memory.

Keras and tf_keras train the network of that name of their applications (none has a ViT); their ResNet-50
takes its strides in the 1×1 convolutions and so has 0.23 of 4.09 thousand million multiplications fewer.
PyTorch and tf_keras are measured where `--timm` and `--tf-keras` name a Python that has them; PyTorch in the
memory layout that proves faster. What is measured is kept in --out, so that models can be measured one by
one; remove that file to measure them again. Where a processor has no instructions for bfloat16, as the tables
say, libraries emulate it, and PyTorch's depthwise convolutions take seconds.
"""

import argparse
import functools
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.repeated import repeat
from benchmarks.turns import Asking, closing, figures, rounds

WARM_UP = 3
"""Steps before those that count; the first one compiles."""
QUIET = 0.2
"""Cores that others may keep busy without a warning."""
PRECISIONS = ("float32", "mixed_bfloat16")


class Network(NamedTuple):
    """How the others call a network."""

    applications: str
    """Of keras.applications; empty where it has none."""
    timm: str


NETWORKS = {
    "resnet50": Network("ResNet50", "resnet50"),
    "mobilenet_v3_large": Network("MobileNetV3Large", "mobilenetv3_large_100"),
    "mobilenet_v3_small": Network("MobileNetV3Small", "mobilenetv3_small_100"),
    "vit_ti_16": Network("", "vit_tiny_patch16_224"),
}
"""imgrec's name → those of the others."""
DEFAULT = ("resnet50", "mobilenet_v3_large", "vit_ti_16")


def commands(model: str, precision: str, flags: argparse.Namespace) -> dict[str, list[str]]:
    """Name the sides that can be measured, and how each is started; imgrec is the first."""
    network, size = NETWORKS[model], [str(flags.side), str(flags.batch)]
    tensorflow = ["-m", "benchmarks.train_step_sides"]
    sides = {"imgrec": [sys.executable, *tensorflow, "imgrec", model, precision, *size]}
    if network.applications:
        for package, python in (("keras", sys.executable), ("tf_keras", flags.tf_keras)):
            if python:
                sides[package] = [python, *tensorflow, package, network.applications, precision, *size]
    if flags.timm:
        for layout in ("contiguous", "channels_last"):
            words = [flags.timm, "-m", "benchmarks.timm_step", network.timm, precision, *size, layout]
            sides[f"timm, {layout}"] = words
    return sides


def measure(sides: Mapping[str, Sequence[str]], threads: int, count: int, steps: int) -> dict[str, Any]:
    """Start the sides one after another and let them take turns.

    Returns:
        `sides`, their `figures`, and `when`, with how busy others are and what there is for bfloat16.
    """
    others = busy_cores()
    if others > QUIET:
        print(f"warning: others keep {others:.1f} cores busy; PyTorch's threads spin while they wait for one")
        print(
            "another, so its figures are too high: measure on a quiet machine, or with --threads 1",
            flush=True,
        )
    when = f"{time.strftime('%F %R')}, {others:.1f} cores busy with others, {bfloat16_instructions()}"
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    environment = dict.fromkeys(names, str(threads)) | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    with closing([]) as started:

        def start(chosen: bool) -> list[Asking]:
            first = len(started)
            for name, command in sides.items():
                if name.startswith("timm") is chosen:
                    started.append(Asking(name, command, environment))
                    started[-1].turn(WARM_UP)
            return started[first:]

        # Before the others come, for each of them holds gigabytes.
        layout = faster(start(chosen=True), steps)
        taken = rounds([*start(chosen=False), *layout], count, steps)
    return {"when": when, "sides": figures(taken)}


def busy_cores(seconds: float = 1.0) -> float:
    """Watch for how many cores' worth of work is done on this machine (Linux) while this process sleeps."""

    def busy() -> float:
        fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        idle_and_waiting = fields[3] + fields[4]
        return (sum(fields[:8]) - idle_and_waiting) / os.sysconf("SC_CLK_TCK")

    begun, before = time.perf_counter(), busy()
    time.sleep(seconds)
    return (busy() - before) / (time.perf_counter() - begun)


def bfloat16_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Tell what the processor has for bfloat16 (Linux on x86)."""
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    found = [name for name in ("amx_bf16", "avx512_bf16") if name in flags]
    return " and ".join(found) or "no bfloat16 instructions"


def faster(sides: Sequence[Asking], steps: int) -> list[Asking]:
    """Return the side whose best of two turns is faster, and end the others; none of none."""
    if not sides:
        return []
    best = {name: min(turn.wall for turn in turns) for name, turns in rounds(sides, 2, steps).items()}
    kept = min(sides, key=lambda side: best[side.name])
    for side in sides:
        if side is not kept:
            side.close()
    return [kept]


def table(sides: Mapping[str, Mapping[str, float]]) -> str:
    """One row a side."""
    lines = [f"{'':24}{'wall':>10}{'processor':>13}{'peak':>12}   imgrec is … × as fast (processor time)"]
    for name, row in sides.items():
        lines.append(
            f"  {name:22}{1e3 * row['wall']:7,.0f} ms{row['cpu']:11.3f} s{row['peak'] / 2**20:8,.0f} MiB"
            + (f"   {row['wall_ratio']:5.2f} ({row['cpu_ratio']:.2f})" if name != "imgrec" else "")
        )
    return "\n".join(lines)


def report(results: Mapping[str, Mapping[str, Any]]) -> str:
    """All tables, and what the lower precision gains where both were measured."""
    parts = []
    for name, result in results.items():
        sides = result["sides"]
        parts.append(f"\n{name} ({result['when']})\n{table(sides)}")
        model, _, precision = name.partition(", ")
        whole = results.get(f"{model}, float32", {"sides": {}})["sides"]
        for side in (side for side in sides if side in whole and precision != "float32"):
            gains = [whole[side][cost] / sides[side][cost] for cost in ("wall", "cpu")]
            text = f"{gains[0]:.2f} × as fast as its float32 ({gains[1]:.2f})"
            parts.append(f"  {side} in {precision}: {text}")
    return "\n".join(parts)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the flags; `models` and `precisions` become lists."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", help=f"of {', '.join(NETWORKS)}; default: {','.join(DEFAULT)}")
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--batch", type=int)
    parser.add_argument("--side", type=int, help="pixels")
    parser.add_argument("--rounds", type=int, help="turns of each side")
    parser.add_argument("--steps", type=int, default=1, help="of a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--timm", metavar="PYTHON", help="a Python with timm and PyTorch")
    parser.add_argument("--tf-keras", metavar="PYTHON", help="a Python with tf_keras and TensorFlow")
    parser.add_argument("--small", action="store_true", help="another default: a small network at 96 px")
    parser.add_argument("--out", type=Path, default=Path("saved_models/train_step.json"))
    flags = parser.parse_args(words)
    usual = {"models": ",".join(DEFAULT), "batch": 16, "side": 224, "rounds": 7}
    small = {"models": "mobilenet_v3_small", "batch": 4, "side": 96, "rounds": 3}
    for name, value in (small if flags.small else usual).items():
        if getattr(flags, name) is None:
            setattr(flags, name, value)
    flags.models, flags.precisions = flags.models.split(","), flags.precisions.split(",")
    for name, known in (("models", NETWORKS), ("precisions", PRECISIONS)):
        if unknown := set(getattr(flags, name)) - set(known):
            parser.error(f"--{name}: got {', '.join(sorted(unknown))}, expected some of {', '.join(known)}")
    return flags


def main() -> None:
    """Measure what the flags ask for and the file does not hold yet; print all that it holds."""
    flags = parse()
    settings = {name: getattr(flags, name) for name in ("batch", "side", "rounds", "steps", "threads")}
    settings |= {"timm": bool(flags.timm), "tf_keras": bool(flags.tf_keras)}
    plan = []
    for model in flags.models:
        for precision in flags.precisions:
            sides = commands(model, precision, flags)
            run = functools.partial(measure, sides, flags.threads, flags.rounds, flags.steps)
            plan.append((f"{model}, {precision}", run))
    print(report(repeat(flags.out, settings, plan)))


if __name__ == "__main__":
    main()
