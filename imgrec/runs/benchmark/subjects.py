"""What is measured: the files that a user named or a run has, and others' ways to run the same network."""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgrec import bundle, runtimes
from imgrec.errors import InputError
from imgrec.files import size_of

TIMM = {
    **{f"resnet{n}": f"resnet{n}" for n in (18, 34, 50, 101, 152)},
    "mobilenet_v2": "mobilenetv2_100",
    "mobilenet_v3_small": "mobilenetv3_small_100",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    **{f"efficientnet_b{n}": f"efficientnet_b{n}" for n in range(8)},
    **{f"efficientnet_lite{n}": f"efficientnet_lite{n}" for n in range(5)},
    "densenet121": "densenet121",
    "inception_v3": "inception_v3",
    **{f"vgg{n}": f"vgg{n}" for n in (11, 13, 16, 19)},
    "vit_ti_16": "vit_tiny_patch16_224",
    "vit_s_16": "vit_small_patch16_224",
    "vit_b_16": "vit_base_patch16_224",
}
"""Our models → timm's of the same architecture; with options of its own a model has no such counterpart."""
NEEDS = {
    "ONNX Runtime": ("onnxruntime", "pip install 'imgrec[onnx]'"),
    "PyTorch": ("timm", "pip install timm, which brings torch"),
}


@dataclass(frozen=True)
class Subject:
    """One thing that answers for images.

    name: in tables.
    kind: what runs it, a key in `child.OPENERS`.
    path: file or run folder; empty of a network without one.
    details: what the opener needs besides.
    accuracy: by the gate's figures, where they lie beside the file.
    kilobytes: of the file; None of what has none.
    """

    name: str
    kind: str
    path: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    accuracy: float | None = None
    kilobytes: float | None = None


def of_files(paths: Sequence[Path]) -> list[Subject]:
    """Return the files as subjects.

    Raises:
        InputError: one that is not there, or of a kind that nothing here runs.
    """
    subjects = []
    for path in paths:
        if runtimes.kind_of(path) == runtimes.RUN:
            raise InputError(f"{path}: name a run folder by --run; here files are expected")
        subjects.append(_of_file(path, _gate_rows(path)))
    names = [subject.name for subject in subjects]
    if len(set(names)) == len(names):
        return subjects
    return [_renamed(subject, subject.path) for subject in subjects]  # files of several runs


def of_run(run: Path, peers: bool) -> tuple[list[Subject], list[str]]:
    """Return a run's files as subjects, with `peers` others' ways too, and what is missing for those.

    Raises:
        InputError: no finished run, or one without files.
    """
    held = bundle.read(run)
    endings = [ending for ending in runtimes.RUNTIMES if ending != runtimes.RUN]
    files = sorted(file for file in (run / "exports").glob("*") if file.suffix in endings)
    if not files:
        raise InputError(f"{run}: has no exported files; python -m pipelines.export --run {run} makes them")
    subjects = of_files(files)
    if not peers:
        return subjects, []
    accuracy = _metrics(run / "metrics.json").get("test", {}).get("accuracy")
    keras = Subject(
        "Keras", "keras", str(run), accuracy=accuracy, kilobytes=size_of(run / "model.keras") / 1000
    )
    others, missing = _others(held, files)
    return [*subjects, keras, *others], missing


def _others(held: bundle.Bundle, files: Sequence[Path]) -> tuple[list[Subject], list[str]]:
    """PyTorch's network of this architecture, and what is missing of it and of ONNX Runtime."""
    missing = [f"{title}: {what}" for title, (package, what) in NEEDS.items() if not _installed(package)]
    if _installed("onnxruntime") and not any(file.suffix == ".onnx" for file in files):
        missing.append("ONNX Runtime: the run has no .onnx file; --to onnx of pipelines.export makes one")
    model = held.run["model"]
    if not _installed("timm"):
        return [], missing
    name = TIMM.get(model["name"]) if not model.get("options") else None
    if name is None:
        return [], [*missing, f"PyTorch: timm has no network that is known to equal {model['name']}"]
    height, width, channels = held.preprocess.shape
    details = {"name": name, "shape": [channels, height, width], "classes": len(held.labels)}
    return [Subject("PyTorch (timm)", "torch", details=details)], missing


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _of_file(path: Path, rows: Mapping[str, Any]) -> Subject:
    accuracy = rows.get(path.name, rows.get(path.stem))
    return Subject(path.name, path.suffix, str(path), {}, accuracy, size_of(path) / 1000)


def _renamed(subject: Subject, name: str) -> Subject:
    return Subject(name, subject.kind, subject.path, subject.details, subject.accuracy, subject.kilobytes)


def _gate_rows(path: Path) -> dict[str, float]:
    """Return the accuracy of each file that the gate measured, by metrics.json beside it or its folder."""
    folder = path.absolute().parent
    for place in (folder, folder.parent):
        if files := _metrics(place / "metrics.json").get("exports", {}).get("files"):
            return {row["name"]: row["accuracy"] for row in files}
    return {}


def _metrics(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}
