"""Our quantisation-aware training beside tfmot's: what they take, how well, how small, how fast.

python -m benchmarks.qat --coverage [--families …] [--python PYTHON] [--out DIR]   who takes which family
python -m benchmarks.qat [--families …] [--engines …] [--python …] [--out DIR]     both train the same model
python -m benchmarks.qat --table [--out DIR]                                       what DIR holds, in Markdown

tfmot runs in a process of its own, with PYTHON where this interpreter has no extra `tfmot`. A family's form,
images and training are those of `benchmarks.zoo_int8`. Both engines start from the same trained float model
and see the same batches in the same order, with the same rates of the same optimiser, and keep the weights of
their best validation epoch. Files are bare ones, uint8 in and logits out, measured on all 2,000 test images,
their milliseconds taken in turns on one thread. What was done is kept in DIR; a run that was stopped goes on.

- tfmot: `quantize_model`; layers that it does not know (CBAM's Multiply, its mean and maximum over channels)
  get a `QuantizeConfig` written for them.
- × 4: four times as many epochs, for tfmot's ranges start at ±6 and move by a thousandth of the way a step.
- tfmot, 16 clusters: `cluster_weights`, trained at a hundredth of the rates (tfmot's guide has 1e-5), then
  int8 by calibration; its gain is in the file as it is downloaded, compressed.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.qat_table import coverage_table, table
from benchmarks.small_forms import Form, Prepared, calibrated, fine_tuned, new_model, prepare, train
from benchmarks.zoo_int8 import BATCH, FAMILIES, as_record, in_float, in_turns, of_family
from imgrec.artefact import Artefact, Promise
from imgrec.compression import qat
from imgrec.compression.tfmot.job import FILE, RESULT, Answer, Data, Job, Recipe, read_answer, write_answer
from imgrec.compression.tfmot.reference import ask
from imgrec.errors import InputError
from imgrec.export import litert
from imgrec.export.inspect import describe
from imgrec.export.parity import measure
from imgrec.files import write_text
from imgrec.metrics import paired
from imgrec.models import build_model
from imgrec.runtimes import open_runtime
from imgrec.tasks.multiclass import Multiclass
from imgrec.training.optim.schedules import build_schedule

BOTH = ("AlexNet", "ResNet-8", "ResNet-20", "ResNet-8 + CBAM")
"""Families that both engines train by default; tfmot takes the last with configs of ours only."""
OURS, TIMED = "ours", 300
ENGINES: dict[str, tuple[Job | None, int, float]] = {
    OURS: (None, 1, 1.0),
    "ours × 4": (None, 4, 1.0),
    "tfmot": (Job("quantise", own_configs=True), 1, 1.0),
    "tfmot × 4": (Job("quantise", own_configs=True), 4, 1.0),
    # A cluster's gradient is the sum of its weights': at the whole rate ResNet-8 fell to chance.
    "tfmot, 16 clusters": (Job("cluster"), 1, 0.01),
}
"""What is asked for, how many times as many epochs it gets, and which share of the rates."""


def coverage(form: Form, python: str) -> dict[str, Any]:
    """Ask both engines whether they take a family's network; nothing is trained."""
    keras.utils.set_random_seed(0)
    spec = form.spec
    model = build_model(spec.name, (form.side, form.side, 1), 10, **spec.options)
    images = np.random.default_rng(0).integers(0, 256, (8, form.side, form.side, 1)).astype("uint8")
    found: dict[str, Any] = {"model": form.model, "ours": "", "untranslated": ""}
    try:
        qat.check(model)
    except InputError as refusal:
        found["ours"] = str(refusal)
    with tempfile.TemporaryDirectory() as name:
        try:
            answer = ask(model, Job("accepts"), Data(images), Path(name), python)
        except InputError as refusal:
            return {**found, "untranslated": str(refusal)}
    expected = model.predict(images.astype("float32"), verbose=0)
    found["translation_difference"] = float(np.abs(answer.outputs["float"] - expected).max())
    said = {"tfmot": answer.refused, "with_configs": answer.refused_with_configs}
    return {**found, **said, "unsupported": answer.unsupported}


def recipe_of(data: Prepared, times: int = 1, share: float = 1.0) -> Recipe:
    """Return the fine-tuning of `data` as numbers: `times` as many epochs, at a `share` of the rates."""
    optim = data.tuning(times)
    schedule = build_schedule(optim, data.steps)
    rates = [share * float(schedule(step)) for step in range(optim.epochs * data.steps)]
    weight_decay = float(optim.weight_decay)
    return Recipe(data.batch, optim.epochs, rates, optim.momentum, weight_decay, optim.label_smoothing)


def data_of(data: Prepared, times: int = 1) -> Data:
    """Return the batches that follow the float training, and the images that judge."""

    def arrays(batches: Any) -> tuple[np.ndarray, np.ndarray]:
        images, targets = zip(*((image.numpy(), target.numpy()) for image, target in batches), strict=True)
        return np.concatenate(images), np.concatenate(targets)

    stream = data.stream(times * data.form.tuning_epochs, first_epoch=data.form.epochs)
    return Data(data.test()[0], *arrays(stream), *arrays(data.validation()), data.calibration())


def compare(form: Form, home: Path, python: str, engines: Collection[str]) -> dict[str, Any] | None:
    """Train a family's float model and let `engines` go on from it, what `home` does not hold yet.

    Returns:
        The figures of every file that is there, and which engines are missing; None as long as ours is.
    """
    data = prepare(form)
    model = _float_model(data, home)
    for name in ENGINES:
        if name in engines and not (home / name / RESULT).exists():
            print(f"{form.model}: {name}", flush=True)
            _run(name, data, model, home / name, python)
    missing = [name for name in ENGINES if not (home / name / RESULT).exists()]
    if OURS in missing:
        return None
    return {"form": dataclasses.asdict(form), "missing": missing, **_figures(data, home)}


def _float_model(data: Prepared, home: Path) -> keras.Model:
    """The trained float model, from `home` where it is there; its file and answers lie there too."""
    kept, folder = home / "float.weights.h5", home / "float"
    if kept.exists():
        model = new_model(data)
        model.load_weights(kept)
        return model
    model = train(data)
    folder.mkdir(parents=True, exist_ok=True)
    litert.to_float32(model, folder / FILE)
    outputs = {"trained": _outputs(model, data)}
    write_answer(Answer(outputs=outputs, processor_s=data.seconds["float_processor_s"]), folder)
    model.save_weights(kept)
    return model


def _run(name: str, data: Prepared, model: keras.Model, folder: Path, python: str) -> None:
    """Train by one of `ENGINES`; file and answer lie in `folder` afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    job, times, share = ENGINES[name]
    if job is None:
        rounded = fine_tuned(data, calibrated(data, model), times)
        litert.to_int8(rounded, folder / FILE)
        outputs = {"trained": _outputs(rounded, data)}
        write_answer(Answer(outputs=outputs, processor_s=data.seconds["qat_processor_s"]), folder)
        return
    asked = dataclasses.replace(job, recipe=recipe_of(data, times, share))
    ask(model, asked, data_of(data, times), folder, python)


def _outputs(model: keras.Model, data: Prepared) -> np.ndarray:
    return np.asarray(model.predict(data.test()[0].astype("float32"), batch_size=BATCH, verbose=0))


def _figures(data: Prepared, home: Path) -> dict[str, Any]:
    """Every file on the same test images, and what refused ones said."""
    images, labels = data.test()
    done = [name for name in ("float", *ENGINES) if (home / name / RESULT).exists()]
    answers = {name: read_answer(home / name) for name in done}
    refused = {name: answer.refused for name, answer in answers.items() if answer.refused}
    paths = {name: home / name / FILE for name in answers if name not in refused}
    for name, path in list(paths.items()):
        try:
            open_runtime(path, num_threads=1)
        except InputError as unfit:  # the converter writes files that the runtime does not take
            refused[name] = f"its file does not run: {unfit}".replace(str(path), FILE)
            del paths[name]
    milliseconds, task = in_turns(paths, images[:TIMED]), Multiclass(data.source.classes)
    files = {}
    for name, path in paths.items():
        artefact = Artefact(path, "tflite", "qat", Promise.SAME_ANSWERS)
        outputs, trained = answers["float"].outputs["trained"], answers[name].outputs["trained"]
        files[name] = {
            **as_record(measure(artefact, images, labels, trained, outputs, task)),
            "ms": milliseconds[name],
            "processor_s": answers[name].processor_s,
            "compressed_kilobytes": len(zlib.compress(path.read_bytes(), 9)) / 1000,
            "left_in_float": in_float(describe(path)),
            "against_ours": _against(paths[OURS], path, images, labels, task),
        }
    return {"images": len(images), "files": files, "refused": refused}


def _against(
    ours: Path, other: Path, images: np.ndarray, labels: np.ndarray, task: Multiclass
) -> dict[str, Any]:
    """What the same images say of our file (first) and another."""
    right = []
    for path in (ours, other):
        runtime = open_runtime(path, num_threads=1)
        right.append(task.right(runtime.scores_of(runtime.answer(images), task), labels))
    return paired.from_answers(*right).record()


def _missing(path: Path, engines: Collection[str]) -> bool:
    """Whether a record lacks one of the engines; one of coverage has none."""
    return bool(set(json.loads(path.read_text(encoding="utf-8")).get("missing", [])) & set(engines))


def main() -> None:
    """Do what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--coverage", action="store_true", help="only ask who takes which family")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--families", nargs="+", default=[], choices=list(FAMILIES), metavar="NAME")
    engines = list(ENGINES)
    parser.add_argument("--engines", nargs="+", default=engines, choices=engines, metavar="NAME")
    parser.add_argument("--python", default=sys.executable, help="an interpreter with the extra tfmot")
    parser.add_argument("--out", type=Path, default=Path("saved_models/qat"))
    given = parser.parse_args()
    folder = given.out / ("coverage" if given.coverage else "compared")
    names = given.families or (list(FAMILIES) if given.coverage else list(BOTH))
    for name in [] if given.table else names:
        path = of_family(folder, name)
        if path.exists() and not _missing(path, given.engines):
            continue
        keras.backend.clear_session()
        if given.coverage:
            record: dict[str, Any] | None = coverage(FAMILIES[name], given.python)
        else:
            record = compare(FAMILIES[name], path.with_suffix(""), given.python, given.engines)
        if record:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(record, indent=1, ensure_ascii=False))
            print(f"{name}: {json.dumps(record, ensure_ascii=False)}", flush=True)
    print(coverage_table(given.out / "coverage"), table(given.out / "compared"), sep="\n\n")


if __name__ == "__main__":
    main()
