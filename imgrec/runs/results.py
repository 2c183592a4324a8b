"""What a training leaves in its run folder, and the last lines it prints."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from imgrec import bundle, files, tasks
from imgrec.data.sources.dataset import Split
from imgrec.data.sources.objects import objects_of
from imgrec.evaluation import cross_validation, stored, sureness
from imgrec.evaluation.language import language
from imgrec.evaluation.model_card import write_card
from imgrec.evaluation.report import write_report
from imgrec.evaluation.stored import Stored
from imgrec.evaluation.subject import Subject
from imgrec.learning import quick
from imgrec.learning.session import Session
from imgrec.metrics.baseline import Quick
from imgrec.phrases import Phrase
from imgrec.runs import calibrating
from imgrec.runs.advice import advice
from imgrec.runs.exporting import Exported, export, judged
from imgrec.runs.knowing import write_known
from imgrec.runs.measuring import Measured, evaluated, measure
from imgrec.runs.record import record_of
from imgrec.runs.session import for_measuring
from imgrec.training.fit import Fitted
from imgrec.unknown import stored as unknown


def write_inputs(session: Session, folder: Path) -> None:
    """Write what is known before training: run.json, audit.json, preprocess.json, task.json, labels.txt."""
    source = session.source
    files.write_json(folder / "run.json", record_of(session))
    findings = [finding.record() for finding in source.findings]
    files.write_json(folder / "audit.json", {"policy": session.config.data.policy, "issues": findings})
    for part in (folder, folder / "exports"):
        files.write_text(part / "preprocess.json", session.preprocess.to_json())
        tasks.write(part, session.task)


def finish(session: Session, folder: Path, out: Path, fitted: Fitted) -> int:
    """Measure the trained model, export and report, put the folder into its place; return the exit code."""
    session = for_measuring(session)
    images = len(session.source.test)
    print(f"\nbest epoch: {fitted.best_epoch}; measuring on {images:,} test images", flush=True)
    files.write_file(folder / "model.keras", lambda path: session.model.save(path))
    session, measured = answered(session, folder)
    write_known(session, subject_of(session), folder)
    exported = judged(
        export(session, folder, measured.outputs, milder=not measured.standing.by_chance), measured.standing
    )
    write_results(session, folder, fitted, measured, exported)
    where = bundle.finish(folder, out)
    return announce(session, where, fitted, measured, exported) or int(where != out)


def answered(session: Session, folder: Path) -> tuple[Session, Measured]:
    """Calibrate the session's model by its validation images, and answer for the test images."""
    chosen_by = subject_of(session).answers(session.source.val) if len(session.source.val) else None
    session = calibrated(session, folder, chosen_by)
    return session, evaluate(session, folder, chosen_by)


def calibrated(session: Session, folder: Path, chosen_by: np.ndarray | None) -> Session:
    """Return the session whose task knows what its validation images say of its sureness; say what they do.

    The task's files are written anew, before any other is made by them. `chosen_by` are the model's outputs
    for the validation images, None where there are none.
    """
    settings, seed, labels = session.config.calibration, session.config.run.seed, session.source.val.labels
    if chosen_by is None or not calibrating.asks(settings, session.task):
        return session
    task, notes = calibrating.fit(session.task, settings, seed, chosen_by, labels)
    print(*notes, sep="\n", flush=True)
    for part in (folder, folder / "exports"):
        tasks.write(part, task)
    return replace(session, task=task)


def evaluate(session: Session, folder: Path, chosen_by: np.ndarray | None) -> Measured:
    """Answer for every test image, write predictions.csv and outputs.npz, return the figures.

    `chosen_by` are the outputs for the validation images, None where there are none.
    What a fold of a cross-validation holds out goes to out_of_fold.csv, with every class's probability.
    """
    source, task, subject = session.source, session.task, subject_of(session)
    test, held_out = source.test, source.held_out
    measured = measure(subject, test, source.train, quick=quick_of(session, test))
    files.write_csv(folder / "predictions.csv", task.table(test.ids, test.labels, measured.outputs))
    answered = {"test": Stored.of(test, measured.outputs)}
    if chosen_by is not None:
        answered["val"] = Stored.of(source.val, chosen_by)
    stored.write(folder, answered)
    if held_out is not None:
        answers = measured.outputs if held_out is test else subject.answers(held_out)
        place, scaled = folder / cross_validation.FILE, task.calibrated(answers)
        cross_validation.write_answers(place, held_out, scaled, source.classes)
    return measured


def quick_of(session: Session, split: Split) -> Quick | None:
    """Return what a regression of seconds answers for a split of the session's images, to compare with."""
    transfer = session.config.transfer
    is_regression = transfer.freeze == "backbone" and not transfer.unfreeze_at
    return quick.answers(session.source, split, session.task, of_pixels=is_regression)


def subject_of(session: Session) -> Subject:
    """Return the session's model as it is measured."""
    return Subject(session.model, session.task, session.preprocess, session.batch_size)


def write_results(
    session: Session, folder: Path, fitted: Fitted, measured: Measured, exported: Exported
) -> None:
    """Write metrics.json, the report and the model card."""
    source, classes = session.source, len(session.source.classes)
    page = evaluated(
        subject_of(session),
        source.test,
        measured,
        title=Phrase("{model} on {data}", model=session.recorded_model["name"], data=source.name),
        language=language(session.config.run.lang),
        config=session.config.flat(),
        data={name: split.counts(classes).tolist() for name, split in source.splits.items()},
        history=fitted.history,
        best_epoch=fitted.best_epoch,
        retried=fitted.rate if fitted.retried else None,
        exports=[asdict(row) for row in exported.rows],
        failures=exported.failures,
        excused=exported.excused,
        doubts=exported.doubts,
        parity_images=exported.images,
        totals={name: len(split) for name, split in source.splits.items()},
        facts={"source": source.name, "colour": source.colour, "fingerprint": source.fingerprint},
        command=session.command,
        validation=stored.read(folder, session.task).get("val"),
        validation_objects=objects_of(source.val) or (),
        train=source.train,
        unknown=unknown.read(folder, session.task.outputs),
    )
    write_card(folder, page, write_report(folder, page))


def announce(session: Session, out: Path, fitted: Fitted, measured: Measured, exported: Exported) -> int:
    """Print the export table, failures, how the model stands, and where everything is; return the exit code.

    Of a model that answers by chance that is said, with what may help; the code is 0, as no file is at fault.
    """
    told = [*measured.lines(session.task), *sureness.lines(out)]
    print("", *exported.lines(), *told, sep="\n")
    if measured.standing.by_chance:
        print(advice(session, fitted))
    print(f"report: {out / 'report' / 'index.html'}")
    if exported.failures:
        print(f"FAILED the parity gate, do not ship: {out / 'exports'}")
        return 1
    print(f"done: {out} (files to ship: {out / 'exports'})")
    return 0
