"""One measurement in a process of its own, its task on standard input.

So that each has its own peak of memory and its own threads, and none warms up for another.
"""

import contextlib
import importlib.util
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks, without_banners

WARM_UP, FEWEST = 5, 20
"""Images that are not counted, and that are counted at least."""
Call = Callable[[], Any]


def measure(task: Mapping[str, Any]) -> dict[str, float]:
    """Open what `task` names, let it answer for one image again and again, and return what that took.

    Args:
        task: kind, path, details, threads, xnnpack, seconds.

    Returns:
        ms_p50, ms_p90, images_per_second, megabytes (peak of memory beyond that of the libraries),
        megabytes_in_all, and pieces: into how many parts of the graph XNNPACK's work falls.

    Raises:
        InputError: it cannot be opened.
    """
    opener = OPENERS.get(task["kind"], _file)
    PREPARE[task["kind"]](task["threads"])
    before = _begin_peak()
    call = opener(task)
    for _ in range(WARM_UP):
        call()
    seconds = _timed(call, task["seconds"])
    peak = _peak_megabytes()
    return {
        "ms_p50": 1000 * float(np.percentile(seconds, 50)),
        "ms_p90": 1000 * float(np.percentile(seconds, 90)),
        "images_per_second": len(seconds) / float(np.sum(seconds)),
        "megabytes": peak - before,
        "megabytes_in_all": peak,
        "pieces": getattr(call, "pieces", 0),
    }


def _timed(call: Call, least: float) -> np.ndarray:
    """Return the seconds of each call, of `FEWEST` or more, for `least` seconds or longer."""
    taken: list[float] = []
    begun = time.perf_counter()
    while len(taken) < FEWEST or time.perf_counter() - begun < least:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return np.array(taken)


def _begin_peak() -> float:
    """Forget what importing libraries took at its most, where the system can (Linux); return what is held."""
    status = Path("/proc/self/status")
    if not status.exists():
        return _peak_megabytes()
    with contextlib.suppress(PermissionError):  # then the peak is that of the whole process
        Path("/proc/self/clear_refs").write_text("5")
    return _kilobytes_of("VmRSS") / 1e3


def _kilobytes_of(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _peak_megabytes() -> float:
    if Path("/proc/self/status").exists():
        return _kilobytes_of("VmHWM") / 1e3
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1e6 if sys.platform == "darwin" else 1e3)


def _image(shape: tuple[int, ...]) -> np.ndarray:
    """The same picture for all: noise, since zeros may be quicker."""
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


class _Interpreted:
    """A TFLite file that answers for one image."""

    def __init__(self, interpreter: Any, taken: int, given: int, pixels: np.ndarray) -> None:
        self._interpreter, self._taken, self._given, self._pixels = interpreter, taken, given, pixels
        self.pieces = sum(each["op_name"] == "DELEGATE" for each in interpreter._get_ops_details())

    def __call__(self) -> Any:
        self._interpreter.set_tensor(self._taken, self._pixels)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._given)


def _tflite(task: Mapping[str, Any]) -> Call:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    resolver = OpResolverType.AUTO if task["xnnpack"] else plain
    path, threads = task["path"], task["threads"]
    try:
        with without_banners():
            interpreter = Interpreter(path, num_threads=threads, experimental_op_resolver_type=resolver)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise InputError(f"{path}: not a TFLite file that can be run here: {error}") from None
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    pixels = _image(tuple(taken["shape"])).astype(taken["dtype"])

    return _Interpreted(interpreter, taken["index"], given["index"], pixels)


def _file(task: Mapping[str, Any]) -> Call:
    """Any other exported file, by what runs it elsewhere too."""
    from imgrec.runtimes import open_runtime

    runtime = open_runtime(task["path"], task["threads"])
    pixels = _image((1, *runtime.image))
    return lambda: runtime.answer(pixels)


def _importing(package: str) -> Callable[[int], None]:
    """Return what imports a package, if it is there: its memory is not the network's."""

    def prepare(threads: int) -> None:
        if importlib.util.find_spec(package.partition(".")[0]) is not None:
            importlib.import_module(package)

    return prepare


def _import_tensorflow(threads: int) -> None:
    import_frameworks()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _keras(task: Mapping[str, Any]) -> Call:
    from imgrec import bundle

    model = bundle.load(Path(task["path"])).model
    pixels = _image((1, *model.input_shape[1:])).astype("float32")
    return lambda: model.predict_on_batch(pixels)  # compiled, without the loop of `predict`


def _import_torch(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _torch(task: Mapping[str, Any]) -> Call:
    import timm
    import torch

    wanted = task["details"]
    channels, height, width = wanted["shape"]
    model = timm.create_model(
        wanted["name"], pretrained=False, num_classes=wanted["classes"], in_chans=channels
    ).eval()
    pixels = torch.from_numpy(_image((1, channels, height, width)).astype("float32"))

    def call() -> Any:
        with torch.inference_mode():
            return model(pixels).numpy()

    return call


OPENERS: dict[str, Callable[[Mapping[str, Any]], Call]] = {
    ".tflite": _tflite,
    "keras": _keras,
    "torch": _torch,
}
"""What opens a subject of each kind, as a call that answers for one image; others by `_file`."""
PREPARE: dict[str, Callable[[int], None]] = {
    ".tflite": _importing("ai_edge_litert.interpreter"),
    ".onnx": _importing("onnxruntime"),
    ".triton": _importing("onnxruntime"),
    ".openvino": _importing("openvino"),
    ".savedmodel": _import_tensorflow,
    "keras": _import_tensorflow,
    "torch": _import_torch,
}
"""What imports the libraries of a kind, so that their memory is not counted as the network's."""


def main() -> int:
    """Read the task, measure, print one line of JSON; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    task = json.loads(sys.stdin.read())
    try:
        with contextlib.redirect_stdout(sys.stderr):
            told: dict[str, Any] = measure(task)
    except InputError as error:
        told = {"error": " ".join(str(error).split())}
    print(json.dumps(told), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
