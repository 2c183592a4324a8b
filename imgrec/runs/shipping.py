"""Files of a finished run, made without training it again."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks

if TYPE_CHECKING:
    from imgrec.data.sources.dataset import Source
    from imgrec.runs.exporting import Exported
    from imgrec.runs.finished import Finished

KIND = "exports"


@dataclass(frozen=True)
class ExportSettings:
    """What to make of which run."""

    run: Path
    """Folder of a finished run."""
    to: str = "tflite"
    """Formats of the files, joined by commas: tflite, onnx, saved_model, triton, openvino."""
    quantize: str = "auto"
    """none: float32 only; float16, dynamic, ptq, ptq_litert: also that one, made after training; qat: also
    ptq and int8 after quantisation-aware fine-tuning of the run's --qat-epochs; with options as train takes
    them; auto: as the run was trained with."""
    prune: str = "auto"
    """none, or how a pruned network is made and fine-tuned first, as train takes it: 0.5, "channels(macs=0.5,
    epochs=10)", "weights(sparsity=0.8)"; auto: as the run was trained with."""
    out: Path | None = None
    """Folder of the files, by default RUN.exports/NAME; those of an earlier export are replaced."""
    data: str = ""
    """Images with the run's classes that ranges are measured on, fine-tuning learns from and files are judged
    on, named as for train; empty: the run's own."""


def ship(settings: ExportSettings, command: str = "") -> int:
    """Write the files of a run, and judge each of them by the gate; return the exit code.

    On one device and the run's own data they are, byte for byte, those that its training wrote.

    0: done. 1: a file does not answer as the model does (it stays, for inspection).

    Raises:
        InputError: no finished run, an unknown format, data that changed or does not fit, a layer that the
            quantisation does not cover, or a folder that may not be written.
    """
    from imgrec import bundle
    from imgrec.runs import beside

    held = bundle.read(settings.run)  # before anything heavy is imported
    own = held.config["quantize"]
    quantize = own["quantize"] if settings.quantize == "auto" else settings.quantize
    prune = own.get("prune", "none") if settings.prune == "auto" else settings.prune
    name = quantize if prune == "none" else f"{quantize}-pruned-{prune}"
    out = beside.place(settings.run, settings.out, KIND, _folder_name(name))
    import_frameworks()
    finished, formats = _ready(settings, quantize, prune)
    source = _elsewhere(finished, settings.data) if settings.data else finished.own_source()
    for note in source.notes:
        print(f"note: {note}")
    print(f"{finished.name}: exporting {', '.join(formats)}, judged on {source.name}", flush=True)
    exported = _write(finished, source, out, formats, command)
    print("", *exported.lines(), sep="\n")
    print(f"FAILED the parity gate, do not ship: {out}" if exported.failures else f"done: {out}")
    return 1 if exported.failures else 0


def _folder_name(quantize: str) -> str:
    """The variant and the pruning with their options, as a folder may be called."""
    return re.sub(r"[^\w.=*-]+", "-", quantize).strip("-")


def _ready(settings: ExportSettings, quantize: str, prune: str) -> "tuple[Finished, tuple[str, ...]]":
    """Load the run, told to make `quantize` and `prune`, and make sure that all of it can be made."""
    from imgrec import runtime
    from imgrec.compression.pruning import prunings
    from imgrec.compression.variants import check
    from imgrec.export.formats import chosen
    from imgrec.runs.finished import open_run

    if runtime.backend() != "tensorflow":
        raise InputError(
            f"TensorFlow exports, and the backend is {runtime.backend()}: KERAS_BACKEND=tensorflow"
        )
    formats = chosen(settings.to, "--to")
    finished = open_run(settings.run)
    check(quantize, finished.bundle.model)
    if asked := prunings.read(prune):
        asked.pruning.check(finished.bundle.model)
    config = finished.config.replace(quantize=quantize, prune=prune, export_to=",".join(formats))
    return replace(finished, config=config), formats


def _elsewhere(finished: "Finished", data: str) -> "Source":
    """Read data that is not the run's, its classes those of the run in their order."""
    from imgrec.data.sources.matching import matched
    from imgrec.runs.session import read_source

    task = finished.bundle.task
    plain = finished.config.replace(quarantine="", fold="", extra_data="", new_classes="", long_tail=0.0)
    source = read_source(plain.replace(data=data))
    if source.train.kind != task.labels:
        raise InputError(f"--data {data}: its labels are {source.train.kind}, and the run's {task.labels}")
    parts = (source.train, source.val, source.test)
    train, val, test = (matched(part, source.classes, task.classes, data) for part in parts)
    return replace(source, classes=task.classes, held_out=None, train=train, val=val, test=test)


def _write(
    finished: "Finished", source: "Source", out: Path, formats: tuple[str, ...], command: str
) -> "Exported":
    """Write the folder `out`, whole: files, what prepares images for them, figures, origin."""
    from imgrec import bundle, files, tasks
    from imgrec.runs.exporting import export, judged
    from imgrec.runs.finished import origin
    from imgrec.runs.measuring import measure
    from imgrec.runs.results import subject_of

    session = finished.session(source, command)
    folder = bundle.begin(out)
    record = origin(finished, KIND, command)
    data = {"name": source.name, "fingerprint": source.fingerprint, "images": len(source.test)}
    settings = session.config.quantize
    made = {"quantize": settings.quantize, "prune": settings.prune, "formats": formats, "data": data}
    files.write_json(folder / "run.json", {**record, **made})
    files.write_text(folder / "preprocess.json", session.preprocess.to_json())
    tasks.write(folder, session.task)
    measured = measure(subject_of(session), source.test, source.train)
    exported = judged(
        export(session, folder, measured.outputs, folder, milder=not measured.standing.by_chance),
        measured.standing,
    )
    files.write_json(folder / "metrics.json", {"exports": exported.record()})
    bundle.finish(folder, out)
    return exported
