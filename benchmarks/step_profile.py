"""Where the time of a training step goes, by kind of kernel and by layer, as TensorFlow's profiler sees it.

python -m benchmarks.step_profile [--model mobilenet_v3_large] [--precision float32] [--batch 16] [--side 224]
    [--of imgrec|keras] [--steps 3] [--threads 1]

Of imgrec's fit, or of Keras's on the network of its applications, as in `benchmarks.train_step`. On one
thread, as by default, kernels do not overlap and their seconds add up to the step.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from benchmarks.train_step import NETWORKS, PRECISIONS, QUIET, WARM_UP, busy_cores

KINDS = (
    ("depthwise convolution", r"DepthwiseConv2dNative.*"),
    ("convolution", r"(PadWith)?(Fused)?Conv2D.*"),
    ("matrix product", r"(Batch)?MatMul.*|Einsum"),
    ("batch normalisation", r"FusedBatchNorm.*"),
    ("pooling", r"(Max|Avg)Pool.*"),
    ("activation", r"(Relu|Relu6|Elu|Selu|Gelu|Sigmoid|Tanh|Softplus|LeakyRelu)(Grad)?|Erf|Softmax|Exp"),
    ("sum or mean", r"Sum|Mean|Max|BiasAddGrad|ArgMax|Prod"),
    ("cast", r"Cast"),
    ("layout", r"Pad(V2)?|Slice|StridedSlice.*|Transpose|Reshape|Concat.*|Tile|Pack|Unpack|Split.*|Gather.*"),
    (
        "element-wise",
        r"Mul|Add(V2|N)?|Sub|BiasAdd|RealDiv|Rsqrt.*|Sqrt.*|Square.*|Neg|Select(V2)?|Maximum|Minimum|Reciprocal.*",
    ),
)
"""A kind, and the operations that belong to it once the prefixes of oneDNN and of fusing are gone."""
FLOPS = ("depthwise convolution", "convolution", "matrix product")
Kernel = tuple[str, str, float]
"""Name in the graph, operation, seconds without those of kernels within."""
Key = TypeVar("Key")


class Share(NamedTuple):
    """What some kernels took of a step."""

    seconds: float
    kernels: float


def kind_of(name: str, operation: str) -> str:
    """Tell what a kernel is for: by its place for the optimiser's and the guard's, else by its operation."""
    if re.search(r"(^|/)(scaled_)?(sgd|SGD)[^/]*/", name):
        return "optimiser"
    if not name.startswith("StatefulPartitionedCall/"):
        return "beside the step"
    plain = _plain(operation)
    return next((kind for kind, known in KINDS if re.fullmatch(known, plain)), "other")


def layer_of(name: str) -> str:
    """Name the layer of the model that a kernel of the step belongs to, without its numbers; else `-`."""
    found = re.match(r"StatefulPartitionedCall/(?:gradient_tape/)?[^/]+/([^/]+)/", name)
    if not found or kind_of(name, "") == "optimiser":
        return "-"
    return re.sub(r"_?\d+", "", found[1])


def _plain(operation: str) -> str:
    return re.sub(r"^_?(Mkl)?(Native)?(_?Fused(?!BatchNorm))?", "", operation)


def shares(kernels: Iterable[Kernel], steps: int, key: Callable[[Kernel], Key]) -> dict[Key, Share]:
    """Add up the kernels of `steps` steps by their `key`, and divide; the largest sum comes first."""
    sums: dict[Key, Share] = {}
    for kernel in kernels:
        old = sums.get(key(kernel), Share(0.0, 0.0))
        sums[key(kernel)] = Share(old.seconds + kernel[2] / steps, old.kernels + 1 / steps)
    return dict(sorted(sums.items(), key=lambda item: -item[1].seconds))


def table(rows: Iterable[tuple[str, Share]], whole: float) -> str:
    """One line a row: share of `whole` seconds, milliseconds, how many kernels."""
    return "\n".join(
        f"  {share.seconds / whole:6.1%} {1e3 * share.seconds:9.2f} ms {share.kernels:7.0f} ×  {name}"
        for name, share in rows
    )


def kernels_of(space: Any) -> Iterator[Kernel]:
    """Find the kernels in a profile, an `XSpace`; one that waits for others has only its own time."""
    for plane in space.planes:
        names = {key: meta.name for key, meta in plane.event_metadata.items()}
        for line in plane.lines:
            spans = []
            for event in line.events:
                if found := re.fullmatch(r"([^:]+):(\w+)", names[event.metadata_id]):
                    spans.append((event.offset_ps, event.offset_ps + event.duration_ps, *found.groups()))
            yield from own_time(spans)


def own_time(spans: Iterable[tuple[int, int, str, str]]) -> Iterator[Kernel]:
    """Turn a thread's spans (begin, end in picoseconds, name, operation) into kernels."""
    open_spans: list[list[Any]] = []
    for begin, end, name, operation in sorted(spans, key=lambda span: (span[0], -span[1])):
        while open_spans and open_spans[-1][0] <= begin:
            yield _closed(open_spans.pop())
        if open_spans:
            open_spans[-1][3] -= end - begin
        open_spans.append([end, name, operation, end - begin])
    while open_spans:
        yield _closed(open_spans.pop())


def _closed(span: Sequence[Any]) -> Kernel:
    return span[1], span[2], span[3] / 1e12


@dataclass
class Profiling:
    """Counts steps, profiles those after the warm-up into `folder`, and ends the training."""

    folder: str
    steps: int
    times: list[float] = field(default_factory=list)
    _begun: int = 0

    def before_step(self) -> None:
        """Note the time; at the right steps start and stop.

        Raises:
            SystemExit: all steps are taken.
        """
        import tensorflow as tf

        if self._begun == WARM_UP:
            options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2, python_tracer_level=0)
            tf.profiler.experimental.start(self.folder, options)
        self._begun += 1
        if self._begun > WARM_UP:
            self.times.append(time.perf_counter())
        if self._begun > WARM_UP + self.steps:
            tf.profiler.experimental.stop()
            sys.exit()


def profile(flags: argparse.Namespace) -> tuple[list[Kernel], float]:
    """Train for some steps; return their kernels and the wall seconds a step."""
    import tensorflow as tf

    # No public module reads what the profiler writes.
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    from benchmarks.train_step_sides import take_steps

    tf.config.threading.set_intra_op_parallelism_threads(flags.threads)
    tf.config.threading.set_inter_op_parallelism_threads(flags.threads)
    network = flags.model if flags.of == "imgrec" else NETWORKS[flags.model].applications
    with tempfile.TemporaryDirectory() as folder:
        profiling = Profiling(folder, flags.steps)
        try:
            take_steps(flags.of, network, flags.precision, flags.side, flags.batch, profiling.before_step)
        except SystemExit:
            space = XSpace()
            space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    return list(kernels_of(space)), (profiling.times[-1] - profiling.times[0]) / flags.steps


def main() -> None:
    """Print the table of kinds and that of the operations that took longest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", choices=NETWORKS, default="mobilenet_v3_large")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--of", choices=("imgrec", "keras"), default="imgrec")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    flags = parser.parse_args()
    if (others := busy_cores()) > QUIET:
        print(f"warning: others keep {others:.1f} cores busy; a kernel's time includes its waits for a core")
    kernels, step = profile(flags)
    kinds = shares(kernels, flags.steps, lambda kernel: kind_of(*kernel[:2]))
    operations = shares(kernels, flags.steps, lambda kernel: f"{kernel[1]} ({kind_of(*kernel[:2])})")
    whole = sum(share.seconds for share in kinds.values())
    print(f"{flags.of}, {flags.model}, {flags.precision}, {flags.side} px, batch {flags.batch}", end=", ")
    print(f"{flags.threads} thread(s): {1e3 * step:,.1f} ms a step, {1e3 * whole:,.1f} ms in kernels")
    print(table(kinds.items(), whole))
    rest = [kernel for kernel in kernels if kind_of(*kernel[:2]) not in FLOPS]
    layers = shares(rest, flags.steps, lambda kernel: layer_of(kernel[0]))
    print("all but convolutions and matrix products, by layer without its numbers:")
    print(table(list(layers.items())[:10], whole))
    print("the operations that take longest:")
    print(table(list(operations.items())[:15], whole))


if __name__ == "__main__":
    main()
