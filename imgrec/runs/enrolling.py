"""Classes added to a finished recogniser, from a few pictures each and without training."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks
from imgrec.spec import Spec

if TYPE_CHECKING:
    import keras

    from imgrec.bundle import Bundle
    from imgrec.config import Config
    from imgrec.data.sources.dataset import Source
    from imgrec.learning.imprint import Imprinted
    from imgrec.learning.session import Session
    from imgrec.runs.finished import Finished
    from imgrec.tasks.calibration import Scaling

KNOWN = 2000
"""Images of the classes that are there which new rows are put beside, at most."""


@dataclass(frozen=True)
class Enrolment:
    """What to add to which run.

    run: folder of a finished run.
    pictures: folder with a folder of pictures for each new class, or with train/ and test/ of such.
    out: folder of the new run.
    quantize, to: files that are exported, as train takes them; auto: also ptq, where every layer has an int8
        form.
    """

    run: Path
    pictures: Path
    out: Path
    quantize: str = "auto"
    to: str = "tflite"


def enroll(asked: Enrolment, command: str = "") -> int:
    """Write a run that knows the classes of `pictures` beside those of `run`; return the exit code.

    0: done. 1: an exported file does not answer as the new network does (it stays, for inspection).

    Raises:
        InputError: no finished run, one about something else than one class an image or whose network has no
            head to add to, pictures of a class that is there already, a class without a picture, data that
            changed, or a folder that may not be written.
    """
    from imgrec import bundle
    from imgrec.runs import beside

    held = bundle.read(asked.run)  # before anything heavy is imported
    _check(held, asked)
    beside.outside_runs(asked.out)
    bundle.check_out(asked.out)
    import_frameworks()
    from imgrec.runs.finished import open_run
    from imgrec.runs.session import read_source

    finished = open_run(asked.run)
    head = _head(finished)
    finished.own_source(mend=": the new classes are held against it")
    config = _config(finished.config, asked)
    source = read_source(config)
    for note in source.notes:
        print(f"note: {note}")
    found = _imprinted(finished, source, head)
    session = _session(finished, source, config, found, command)
    return _finish(session, found, len(held.labels), asked)


def _check(held: "Bundle", asked: Enrolment) -> None:
    """Raise InputError where no class can be added to a run, by what its folder says of it."""
    if held.task.activation != "softmax" or held.task.labels != "class":
        raise InputError(
            f"{asked.run}: its task is {held.task.name}; expected multiclass: only where an image has one "
            "class does a new one compete with the others"
        )
    if held.run.get("kind"):
        raise InputError(f"{asked.run}: holds {held.run['kind']} of a run; name the run itself")
    if held.config["data"].get("fold"):
        raise InputError(f"{asked.run}: is one fold of a cross-validation; name a run that learned from all")
    if held.config["data"].get("new_classes"):
        raise InputError(
            f"{asked.run}: classes were added to it already; give all pictures in one folder, to the run "
            "that was trained"
        )
    if Spec.named(asked.quantize, "--quantize").name == "qat":
        raise InputError(f"--quantize {asked.quantize}: trains, and classes are added without; expected ptq")
    if asked.run.resolve() == asked.out.resolve():
        raise InputError(f"--out {asked.out}: is the run itself; name another folder")
    if not asked.pictures.is_dir():
        raise InputError(
            f"{asked.pictures}: no such folder; expected one with a folder of pictures for each new class"
        )


def _head(finished: "Finished") -> "keras.layers.Dense":
    """Return the layer that gets more rows.

    Raises:
        InputError: there is none.
    """
    import keras

    model = finished.bundle.model
    named = {layer.name: layer for layer in model.layers}
    head = named.get("logits")
    if not isinstance(head, keras.layers.Dense) or model.output is not head.output or not head.use_bias:
        raise InputError(
            f"{finished.bundle.path}: its network, {model.name}, does not end in one dense layer `logits`; "
            "expected a trained run, no ensemble of several and no factored head"
        )
    return head


def _config(config: "Config", asked: Enrolment) -> "Config":
    """Return the settings of the new run: the old one's, and what is not learned from so few pictures.

    Validation has no image of the new classes, so that it calibrates nothing about them.
    """
    return config.replace(
        new_classes=str(asked.pictures),
        out=str(asked.out),
        quantize="none",
        export_to=asked.to,
        prune="none",
        calibrate="none",
        prediction_sets="none",
        abstain="none",
        long_tail=0.0,
    )


def _imprinted(finished: "Finished", source: "Source", head: "keras.layers.Dense") -> "Imprinted":
    """Look at the pictures, and at images of the classes that are there, and make the rows."""
    import keras
    import numpy as np

    from imgrec.data.loading import load_arrays
    from imgrec.data.sources.new_classes import of_new_classes
    from imgrec.evaluation.seeing import some
    from imgrec.learning.imprint import Known, imprint
    from imgrec.learning.probe import Head
    from imgrec.unknown import stored
    from imgrec.unknown.gaussians import Gaussian

    model, count = finished.bundle.model, len(finished.bundle.labels)
    inner = keras.Model(model.inputs, head.input)  # dropout is none in answering
    seed, size = finished.config.run.seed, int(finished.config.optim.batch_size)

    def features(split: Any) -> Any:
        pixels = load_arrays(split, finished.bundle.preprocess).astype("float32")
        return np.asarray(inner.predict(pixels, batch_size=size, verbose=0), "float32")

    def known(split: Any) -> Any:
        return some(split.take(np.flatnonzero(split.labels < count)), KNOWN, seed)

    beside = known(source.val if len(source.val) else source.train)
    detector = stored.read(finished.bundle.path, count)
    within = None if detector is None or detector.known is None else detector.known.within
    if within is None or within.means.shape != (count, head.kernel.shape[0]):
        learned = known(source.train)
        within = Gaussian.fit(features(learned), np.unique(learned.labels, return_inverse=True)[1])
    kernel, bias = (np.asarray(weight, "float32") for weight in head.get_weights())
    there = Known(Head(kernel, bias), within, features(beside), beside.labels)
    scaling = _temperature(finished)
    factor = scaling.factors[0] if scaling else there.by_temperature() if len(source.val) else 1.0
    pictures = of_new_classes(source.train, count)
    return imprint(replace(there, factor=factor), features(pictures), pictures.labels - count)


def _temperature(finished: "Finished") -> "Scaling | None":
    """Return the temperature that the run's validation images gave it; it holds for more classes, too."""
    scaling = finished.bundle.task.calibration and finished.bundle.task.calibration.scaling
    return scaling if scaling and scaling.method == "temperature" else None


def _session(
    finished: "Finished", source: "Source", config: "Config", found: "Imprinted", command: str
) -> "Session":
    """Return the network with the new rows, as a run that stands at the end of its training."""
    from imgrec import bundle, runtime
    from imgrec.tasks import choose
    from imgrec.tasks.calibration import Calibration

    old = finished.bundle.model
    recorded = {**finished.bundle.run["model"], "num_classes": len(source.classes)}
    with runtime.in_float32():
        model = bundle.build(recorded)
    for there, here in zip(old.layers, model.layers, strict=True):
        weights = [found.head.kernel, found.head.bias] if here.name == "logits" else there.get_weights()
        here.set_weights(weights)
    task = choose(finished.bundle.task.name, source.train.kind, source.classes)
    if scaling := _temperature(finished):
        task = replace(task, calibration=Calibration(scaling))
    run = {**finished.bundle.run, "model": recorded}
    held = replace(finished.bundle, task=task, run=run, model=model)
    return replace(finished, bundle=held, config=config).session(source, command)


def _finish(session: "Session", found: "Imprinted", known: int, asked: Enrolment) -> int:
    """Say what was made, then measure, export and report."""
    from imgrec.runs import made
    from imgrec.runs.knowing import write_known
    from imgrec.runs.results import subject_of

    config = session.config.replace(quantize=made.quantization(asked.quantize, session.model))
    session = replace(session, config=config)
    record = _record(session, found, known, asked)
    print(*_lines(record, len(session.source.classes)), sep="\n", flush=True)
    folder = made.begin(session, {"enrolled": record}, asked.out)
    write_known(session, subject_of(session), folder)
    return made.finish(session, folder, asked.out, {"enrolled": record["classes"]})


def _record(session: "Session", found: "Imprinted", known: int, asked: Enrolment) -> dict[str, Any]:
    """Return what run.json has of it."""
    from imgrec import bundle

    counts = session.source.train.counts(len(session.source.classes))
    names = session.source.classes[known:]
    return {
        "run": str(asked.run.resolve()),
        "sha256": bundle.read(asked.run).manifest["model.keras"],
        "classes": {
            name: {"pictures": int(counts[known + number]), "left_out_right": found.right[number]}
            for number, name in enumerate(names)
        },
    }


def _lines(record: dict[str, Any], classes: int) -> list[str]:
    """Say what each new class was made of, and how it does on pictures that its row was not made of."""
    told = []
    for name, held in record["classes"].items():
        count, right = held["pictures"], held["left_out_right"]
        judged = (
            "one picture: how well it is known cannot be said"
            if right is None
            else f"{right} of {count} pictures known by the others, among all {classes}"
        )
        told.append(f"{name}: {judged}")
    return told
