"""A finished run measured once more: on its own data, or on any other with its classes."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from imgrec.config.settings import Lang, Policy
from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks
from imgrec.phrases import Phrase

if TYPE_CHECKING:
    from imgrec.data.sources.dataset import Split
    from imgrec.evaluation.evaluations import Evaluation
    from imgrec.evaluation.language import Language
    from imgrec.evaluation.subject import Subject
    from imgrec.metrics.baseline import Quick
    from imgrec.runs.finished import Finished

KIND = "evaluations"


@dataclass(frozen=True)
class EvaluationSettings:
    """What to measure on what."""

    run: Path
    """Folder of a finished run."""
    data: str = ""
    """New images, named as for train: a folder with one folder a class, csv:FILE, npz:FILE …; empty: the
    run's own."""
    split: Literal["auto", "train", "val", "test", "all"] = "auto"
    """Which of the images; auto: the test split of the run's own data, and all of new data."""
    out: Path | None = None
    """Folder of the results, by default RUN.evaluations/NAME; those of an earlier evaluation are replaced."""
    policy: Policy = "strict"
    """Broken files of new data: strict refuses them, skip passes over them, quarantine also lists them in the
    data's folder."""
    download: bool = False
    """Let tfds:NAME fetch a set that is not on disk."""
    also: str = ""
    """Evaluations that take minutes, with their options and | between them; docs/report.md lists them."""
    lang: Literal["auto", Lang] = "auto"
    """Language of the report: en or zh (Chinese, 中文); auto: that of the run's own."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print what metrics.json holds and nothing else; what is being done goes to standard error."""


@dataclass(frozen=True)
class Images:
    """What a model is measured on.

    part: the name of the split, as figures and pages have it.
    """

    name: str
    part: str
    split: "Split"
    fingerprint: str
    notes: tuple[str, ...] = ()
    train: "Split | None" = None
    quick: "Quick | None" = None


def evaluate(asked: EvaluationSettings, command: str = "") -> Path:
    """Measure a run, and write figures, answers and report to a folder of its own; return the folder.

    Without `data`, or where it names the run's own: on the run's own images, by default its test split, with
    the figures that the training gave. On other data: all of its images, unless a split of it is named.

    Raises:
        InputError: no finished run, its own data changed, bad data, a class that the run does not know, or a
            folder that may not be written.
    """
    from imgrec import bundle
    from imgrec.runs import beside

    held = bundle.read(asked.run)  # before anything heavy is imported
    is_own = not asked.data or _place(asked.data) == _place(held.config["data"]["data"])
    part = asked.split if asked.split != "auto" else "test" if is_own else "all"
    where = part if is_own else f"{re.sub(r'[^0-9A-Za-z_.]+', '-', asked.data).strip('-.')}-{part}"
    out = beside.place(asked.run, asked.out, KIND, where)
    import_frameworks()
    from imgrec.evaluation.evaluations import requested
    from imgrec.evaluation.language import language
    from imgrec.runs.finished import open_run

    more = requested(asked.also)  # before anything is measured
    finished = open_run(asked.run)
    subject, images = _own(finished, part) if is_own else _other(finished, asked, part)
    for note in images.notes:
        print(f"note: {note}")
    print(f"{finished.name}: measuring on {len(images.split):,} images of {images.name}", flush=True)
    page_in = language(finished.config.run.lang if asked.lang == "auto" else asked.lang)
    try:
        _measure(finished, subject, images, more, page_in, out, command)
    except InputError:  # such as an option of `also` out of range
        bundle.discard(out)
        raise
    return out


def _place(data: str) -> tuple[str, str]:
    """Return the scheme of a specification of data, and where it leads, whatever way it is written."""
    scheme, colon, rest = data.partition(":")
    if colon and len(scheme) > 1 and "/" not in scheme:
        return scheme, os.path.realpath(rest)
    return "", os.path.realpath(data)


def _own(finished: "Finished", part: str) -> "tuple[Subject, Images]":
    """Return the run's model as its training measured it, and a split of its own data."""
    from imgrec.runs.results import quick_of, subject_of

    source = finished.own_source()
    session = finished.session(source)
    train, *others = source.splits.values()
    split = train.joined(*others) if part == "all" else source.splits[part]
    quick = quick_of(session, split)
    images = Images(source.name, part, split, source.fingerprint, source.notes, source.train, quick)
    return subject_of(session), images


def _other(finished: "Finished", asked: EvaluationSettings, part: str) -> "tuple[Subject, Images]":
    """Return the run's model, and images that it never saw, with its classes in its order."""
    from imgrec.data.sources.dataset import fingerprint
    from imgrec.data.sources.load import load_given
    from imgrec.data.sources.matching import matched
    from imgrec.data.sources.splits import missing
    from imgrec.evaluation.subject import Subject

    held, config = finished.bundle, finished.config
    elsewhere = config.replace(
        data=asked.data,
        policy=asked.policy,
        download=asked.download,
        quarantine="",
        fold="",
        extra_data="",
        new_classes="",
    )
    opened = load_given(elsewhere.data)
    first, *others = opened.given.values()
    notes = opened.notes
    if part == "all":
        split = first.joined(*others)
        if others:
            notes += (f"measured on all of {', '.join(opened.given)}; --split test takes one of them",)
    elif list(opened.given) == ["train"]:
        raise InputError(f"--split {part}: {asked.data} is not divided into splits; leave it out: all of it")
    elif part not in opened.given:
        raise InputError(f"--split {part}: {asked.data} has {', '.join(opened.given)}")
    else:
        split = opened.given[part]
    if not len(split):
        raise InputError(f"{asked.data}: no image to measure on; expected one or more, in class folders")
    task = held.task
    if split.kind != task.labels:
        raise InputError(
            f"{asked.data}: its labels are {split.kind}, and {held.path} is {task.name}, about {task.labels}"
        )
    split = matched(split, opened.classes, task.classes, asked.data)
    notes += missing({part if part != "all" else "whole": split}, task.classes)
    digest = fingerprint(task.classes, [split], opened.digests)
    subject = Subject(held.model, task, held.preprocess, int(config.optim.batch_size))
    return subject, Images(asked.data, part, split, digest, notes)


def _measure(
    finished: "Finished",
    subject: "Subject",
    images: Images,
    more: "dict[str, Evaluation]",
    page_in: "Language",
    out: Path,
    command: str,
) -> None:
    """Write the folder `out`, whole, and say what is in it."""
    from imgrec import bundle, files, tasks
    from imgrec.evaluation import stored, sureness
    from imgrec.evaluation.report import write_report
    from imgrec.runs.finished import origin
    from imgrec.runs.measuring import evaluated, measure
    from imgrec.serving.objects import fusion_of
    from imgrec.unknown import stored as unknown

    split, task = images.split, subject.task
    part = "new" if images.part == "all" and images.train is None else images.part
    measured = measure(subject, split, images.train, part, images.quick)
    data: dict[str, Any] = {"name": images.name, "split": images.part, "fingerprint": images.fingerprint}
    folder = bundle.begin(out)
    record = origin(finished, KIND, command)
    files.write_json(folder / "run.json", {**record, "data": {**data, "images": len(split)}})
    tasks.write(folder, task)
    files.write_csv(folder / "predictions.csv", task.table(split.ids, split.labels, measured.outputs))
    page = evaluated(
        subject,
        split,
        measured,
        title=Phrase("{run}, measured on {data}", run=finished.name, data=images.name),
        language=page_in,
        config={**finished.config.flat(), "out": str(finished.bundle.path)},
        data={images.part: split.counts(len(task.classes)).tolist()},
        totals={images.part: len(split)},
        facts={"source": images.name, "fingerprint": images.fingerprint, "run": str(finished.bundle.path)},
        command=command,
        validation=stored.read(finished.bundle.path, task).get("val"),
        fusion=fusion_of(finished.bundle.path),
        train=images.train,
        unknown=unknown.read(finished.bundle.path, task.outputs),
    )
    stored.write(folder, {"test": stored.Stored.of(split, measured.outputs)})
    write_report(folder, page, more)
    told = [*measured.lines(task), *sureness.lines(folder)]
    bundle.finish(folder, out)
    print(*told, sep="\n")
    print(f"report: {out / 'report' / 'index.html'}")
    print(f"done: {out} (figures: metrics.json, every answer: predictions.csv)")
