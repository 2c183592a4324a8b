"""A model file that no manifest vouches for."""

from pathlib import Path

from imgrec.guards import onnx_file, trial


def check(path: Path) -> None:
    """Make sure that a lone model file refers to no other, can be opened, and answers.

    Raises:
        InputError: as `onnx_file.check` and `trial.check`.
    """
    if path.suffix == ".onnx":
        onnx_file.check(path)
    trial.check(path)
