"""A model file from elsewhere answers once in a process of its own, before it does in this one.

A damaged file may end the interpreter that runs it, without a word, or keep it busy for ever: LiteRT 2.3 was
ended by 13 of 27,000 mutated files, and busy for more than 5 s with 15. No Python code can catch that, but
another process can. It imports nothing of imgrec, to be quick: a quarter of a second, most of it LiteRT's.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = 60
"""A file that takes longer to be opened and to answer once is refused."""
MEMORY = 4 << 30
"""Bytes of addresses that a trial may use beside eight times the file's size."""
REFUSED = 3
"""The exit code of a trial whose interpreter refused the file; it has printed why."""


def check(path: Path) -> None:
    """Let another process open a model file and answer one image of noise.

    Raises:
        InputError: it is refused, ends the process, or takes more than `SECONDS` or `MEMORY`.
    """
    from imgrec.errors import InputError

    command = [sys.executable, "-P", str(Path(__file__)), str(path)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            command, capture_output=True, env=environment, timeout=SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{path}: gives no answer within {SECONDS} s; damaged, export it again") from None
    if done.returncode == 0:
        return
    said = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.returncode == REFUSED and said:
        raise InputError(f"{path}: not a model file that can be run here: {said[-1]}")
    reason = f"exit code {done.returncode}"
    if done.returncode < 0:
        with contextlib.suppress(ValueError):  # a number without a name
            reason = signal.Signals(-done.returncode).name
    raise InputError(f"{path}: ends the program that runs it ({reason}); damaged, export it again")


def _limit(path: str) -> None:
    """Hold this process to `MEMORY`, and let it leave no core file."""
    try:
        import resource
    except ImportError:  # Windows
        return
    most = MEMORY + 8 * os.path.getsize(path)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _noise(shape: Any, dtype: Any) -> Any:
    """Return an image of the shape, unknown sizes being 1, with values of 0 to 255."""
    import numpy as np

    sizes = [size if isinstance(size, int) and size > 0 else 1 for size in shape]
    return np.random.default_rng(0).integers(0, 256, sizes, np.uint8).astype(dtype)


def _tflite(path: str) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    for part in interpreter.get_input_details():
        interpreter.set_tensor(part["index"], _noise(part["shape"].tolist(), part["dtype"]))
    interpreter.invoke()
    for part in interpreter.get_output_details():
        interpreter.get_tensor(part["index"])


def _onnx(path: str) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    types = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}
    session.run(None, {part.name: _noise(part.shape, types[part.type]) for part in session.get_inputs()})


RUNNERS: dict[str, Callable[[str], None]] = {".tflite": _tflite, ".onnx": _onnx}
"""What opens a file by its ending and lets it answer once."""


def main() -> int:
    """Try the file that the argument names; 0, or `REFUSED` and a line on standard output that says why."""
    path = sys.argv[1]
    _limit(path)
    try:
        RUNNERS[os.path.splitext(path)[1]](path)
    except ImportError:
        return 0  # whoever opens the file next says what is not installed
    except Exception as error:  # of any kind: that is what is to be found out
        print((str(error).strip().splitlines() or [type(error).__name__])[0][:300])
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
