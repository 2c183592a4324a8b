"""A model file that no manifest vouches for."""

from pathlib import Path

from imgrec.guards import onnx_file, trial


def check(path: Path) -> None:
    """Make sure that a lone model file refers to no other, can be opened, and answers.

    Of a folder, such as Triton's, the `.onnx` files in it are looked at; a SavedModel's graph and OpenVINO's
    files are not.

    Raises:
        InputError: as `onnx_file.check` and `trial.check`.
    """
    for file in sorted(path.rglob("*.onnx")) if path.is_dir() else [path]:
        if file.suffix == ".onnx":
            onnx_file.check(file)
        if file.suffix in trial.RUNNERS:
            trial.check(file)
