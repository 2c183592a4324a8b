"""What a training leaves in its run folder, and the last lines it prints."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from imgrec import bundle, files, runtime, tasks
from imgrec.data.loading import load_arrays, triggered
from imgrec.evaluation import adaptation, cross_validation
from imgrec.evaluation.evaluated import Evaluated
from imgrec.evaluation.report import write_report
from imgrec.learning.session import Session
from imgrec.runs.exporting import Exported, export
from imgrec.runs.session import for_measuring
from imgrec.training.fit import Fitted


@dataclass(frozen=True)
class Result:
    """The trained model's own answers on the test split."""

    outputs: np.ndarray
    """float32 `[N, outputs]`, in the order of the split."""
    figures: dict[str, Any]
    adaptation: dict[str, Any] | None = None
    """What the adaptive steps are worth, as `evaluation.adaptation.judge` returns it; None without steps."""


def write_inputs(session: Session, folder: Path) -> None:
    """Write what is known before training: run.json, audit.json, preprocess.json, task.json, labels.txt."""
    source = session.source
    counts = {name: len(split) for name, split in source.splits.items()}
    record = {
        "format": bundle.FORMAT,
        "command": session.command,
        "config": session.config.tree(),
        "asked": session.asked.tree(),
        "model": session.recorded_model,
        "machine": session.machine,
        "versions": runtime.versions(),
        "data": {"name": source.name, "fingerprint": source.fingerprint, "images": counts},
    }
    files.write_json(folder / "run.json", record)
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
    result = evaluate(session, folder)
    exported = export(session, folder, result.outputs)
    write_results(session, folder, fitted, result, exported)
    where = bundle.finish(folder, out)
    return announce(session, where, result, exported) or int(where != out)


def evaluate(session: Session, folder: Path) -> Result:
    """Answer for every test image, write predictions.csv and return the figures.

    Where the preprocessing has adaptive steps, the same model answers again without them. What a fold of a
    cross-validation holds out goes to out_of_fold.csv, with every class's probability.
    """
    source, task = session.source, session.task
    test, held_out = source.test, source.held_out
    outputs = session.model.predict(session.evaluation(test), verbose=0)
    files.write_csv(folder / "predictions.csv", task.table(test.ids, test.labels, outputs))
    if held_out is not None:
        answers = (
            outputs if held_out is test else session.model.predict(session.evaluation(held_out), verbose=0)
        )
        cross_validation.write_answers(folder / cross_validation.FILE, held_out, answers, source.classes)
    counts = source.train.counts(len(source.classes)).tolist()
    figures = task.figures(outputs, test.labels, counts)
    return Result(outputs, figures, _judge_steps(session, outputs))


def _judge_steps(session: Session, outputs: np.ndarray) -> dict[str, Any] | None:
    """Compare the answers with the model's own on the same images without adaptive steps."""
    if not session.preprocess.adapts:
        return None
    test, plain = session.source.test, replace(session.preprocess, adapt="none")
    off = session.model.predict(session.evaluation(test, preprocess=plain), verbose=0)
    right, right_off = (session.task.right(answers, test.labels) for answers in (outputs, off))
    judged = adaptation.judge(right, right_off, triggered(test, session.preprocess))
    return {"line": session.preprocess.adapt, **judged}


def write_results(session: Session, folder: Path, fitted: Fitted, result: Result, exported: Exported) -> None:
    """Write metrics.json and the report."""
    source, task = session.source, session.task
    test, classes = source.test, len(source.classes)
    mistakes = task.mistakes(test.ids, test.labels, result.outputs)
    wrong = test.take(np.array([mistake.index for mistake in mistakes], int))
    evaluated = Evaluated(
        title=f"{session.recorded_model['name']} on {source.name}",
        task=task,
        figures=result.figures,
        config=session.config.flat(),
        data={name: split.counts(classes).tolist() for name, split in source.splits.items()},
        versions=runtime.versions(),
        history=fitted.history,
        best_epoch=fitted.best_epoch,
        retried=fitted.rate if fitted.retried else None,
        exports=[asdict(row) for row in exported.rows],
        failures=exported.failures,
        parity_images=exported.images,
        mistakes=mistakes,
        mistake_images=load_arrays(wrong, session.preprocess) if len(wrong) else (),
        totals={name: len(split) for name, split in source.splits.items()},
        adaptation=result.adaptation,
        facts={"source": source.name, "colour": source.colour, "fingerprint": source.fingerprint},
        command=session.command,
    )
    write_report(folder, evaluated)


def announce(session: Session, out: Path, result: Result, exported: Exported) -> int:
    """Print the export table, any failure, and where everything is; return the exit code."""
    print(f"\n{exported.table}\n")
    for failure in exported.failures:
        print(f"parity gate: {failure}")
    print(session.task.headline(result.figures))
    if result.adaptation:
        print(f"adaptive steps, against off: {result.adaptation['verdict']}")
    print(f"report: {out / 'report' / 'index.html'}")
    if exported.failures:
        print(f"FAILED the parity gate, do not ship: {out / 'exports'}")
        return 1
    print(f"done: {out} (files to ship: {out / 'exports'})")
    return 0
