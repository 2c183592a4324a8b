"""What a training leaves in its run folder, and the last lines it prints."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from imgrec import bundle, files
from imgrec.runs.exporting import Exported
from imgrec.runs.session import Job
from imgrec.training.fit import Fitted


@dataclass(frozen=True)
class Result:
    """The trained model's own answers on the test split."""

    logits: np.ndarray
    """float32 `[N, num_classes]`, in the order of the split."""
    metrics: dict[str, Any]
    adaptation: dict[str, Any] | None = None
    """What the adaptive steps are worth, as `evaluation.adaptation.judge` returns it; None without steps."""


def write_inputs(job: Job, folder: Path) -> None:
    """Write what is known before training: run.json, audit.json, preprocess.json, labels.txt."""
    from imgrec import runtime

    counts = {name: len(split) for name, split in job.source.splits.items()}
    record = {
        "format": bundle.FORMAT,
        "command": job.command,
        "config": job.config.tree(),
        "model": job.recorded_model,
        "machine": job.machine,
        "versions": runtime.versions(),
        "data": {"name": job.source.name, "fingerprint": job.source.fingerprint, "images": counts},
    }
    files.write_json(folder / "run.json", record)
    findings = [finding.record() for finding in job.source.findings]
    files.write_json(folder / "audit.json", {"policy": job.config.data.policy, "issues": findings})
    for number in (folder, folder / "exports"):
        files.write_text(number / "preprocess.json", job.preprocess.to_json())
        bundle.write_labels(number / "labels.txt", job.source.classes)


def evaluate(job: Job, folder: Path) -> Result:
    """Answer for every test image, write predictions.csv and return the figures.

    Where the preprocessing has adaptive steps, the same model answers again without them. What a fold of a
    cross-validation holds out goes to out_of_fold.csv, with every class's probability.
    """
    from imgrec.data.pipeline import evaluation_dataset
    from imgrec.evaluation import cross_validation

    test, classes, figures = job.source.test, job.source.classes, _figures(job)
    data = evaluation_dataset(test, job.preprocess, len(classes), batch_size=job.batch_size)
    logits = job.model.predict(data, verbose=0)
    figures.write_predictions(folder / "predictions.csv", test.ids, test.labels, logits, classes)
    held_out = job.source.held_out
    if held_out is not None:
        unseen = evaluation_dataset(held_out, job.preprocess, len(classes), batch_size=job.batch_size)
        answers = logits if held_out is test else job.model.predict(unseen, verbose=0)
        cross_validation.write_answers(folder / cross_validation.FILE, held_out, answers, classes)
    counts = {} if test.several else {"train_counts": job.source.train.counts(len(classes)).tolist()}
    summary = figures.summarize(logits, test.labels, classes, **counts)
    return Result(logits, summary, _judge_steps(job, logits))


def _figures(job: Job) -> Any:
    """The module that measures answers about labels of this kind."""
    from imgrec.metrics import multi_label as label_sets
    from imgrec.metrics import single_label as metrics

    return label_sets if job.source.several else metrics


def _judge_steps(job: Job, logits: np.ndarray) -> dict[str, Any] | None:
    """Compare the answers with the model's own on the same images without adaptive steps."""
    if not job.preprocess.adapts:
        return None
    from imgrec.data.pipeline import evaluation_dataset
    from imgrec.data.sources.labels import decide, equal
    from imgrec.data.triggered import triggered
    from imgrec.evaluation import adaptation

    test, plain = job.source.test, replace(job.preprocess, adapt="none")
    data = evaluation_dataset(test, plain, len(job.source.classes), batch_size=job.batch_size)
    right, right_off = (
        equal(decide(answers, test.labels), test.labels)
        for answers in (logits, job.model.predict(data, verbose=0))
    )
    judged = adaptation.judge(right, right_off, triggered(test, job.preprocess))
    return {"line": job.preprocess.adapt, **judged}


def write_results(job: Job, folder: Path, fitted: Fitted, result: Result, exported: Exported) -> None:
    """Write metrics.json and the report."""
    from imgrec import runtime
    from imgrec.data.loading import load_arrays
    from imgrec.evaluation.report import Report, write_report

    test, classes = job.source.test, job.source.classes
    exports = [asdict(row) for row in exported.rows]
    best = fitted.history[fitted.best_epoch - 1]
    scores = {name[4:]: value for name, value in best.items() if name.startswith("val_")}
    validation = {"epoch": fitted.best_epoch, **scores}
    files.write_json(
        folder / "metrics.json",
        {
            "test": result.metrics,
            "validation": validation,
            "exports": {"images": exported.images, "files": exports, "failures": exported.failures},
            **({"adaptation": result.adaptation} if result.adaptation else {}),
        },
    )
    mistakes = _figures(job).confident_mistakes(test.ids, test.labels, result.logits, classes)
    wrong = test.take(np.array([m.index for m in mistakes], int))
    shown = load_arrays(wrong, job.preprocess) if len(wrong) else ()
    counts = {name: split.counts(len(classes)).tolist() for name, split in job.source.splits.items()}
    report = Report(
        title=f"{job.recorded_model['name']} on {job.source.name}",
        metrics=result.metrics,
        history=fitted.history,
        config=job.config.flat(),
        exports=exports,
        mistakes=mistakes,
        mistake_images=shown,
        data=counts,
        totals={name: len(split) for name, split in job.source.splits.items()},
        versions=runtime.versions(),
        failures=exported.failures,
        parity_images=exported.images,
        adaptation=result.adaptation,
        facts={"source": job.source.name, "colour": job.source.colour, "fingerprint": job.source.fingerprint},
        command=job.command,
    )
    write_report(folder / "report" / "index.html", report)


def headline(metrics: dict[str, Any]) -> str:
    """The figures of the test split in one line."""
    images = f"{metrics['images']:,} images"
    if "accuracy" in metrics:
        return f"test accuracy {metrics['accuracy']:.4f} on {images}, macro F1 {metrics['f1_macro']:.4f}"
    means = {"mAP": "mean_average_precision", "F1 micro": "f1_micro", "macro": "f1_macro"}
    values = [f"{name} {metrics[key]:.4f}" for name, key in means.items() if metrics[key] is not None]
    return f"test {', '.join(values)}; all labels right on {metrics['exact_match']:.4f} of {images}"


def announce(out: Path, result: Result, exported: Exported) -> int:
    """Print the export table, any failure, and where everything is; return the exit code."""
    print(f"\n{exported.table}\n")
    for failure in exported.failures:
        print(f"parity gate: {failure}")
    print(headline(result.metrics))
    if "by_frequency" in result.metrics:
        groups = [f"{row['group']} {row['accuracy']:.4f}" for row in result.metrics["by_frequency"]]
        print(f"balanced accuracy {result.metrics['balanced_accuracy']:.4f}: {', '.join(groups)}")
    if result.adaptation:
        print(f"adaptive steps, against off: {result.adaptation['verdict']}")
    print(f"report: {out / 'report' / 'index.html'}")
    if exported.failures:
        print(f"FAILED the parity gate, do not ship: {out / 'exports'}")
        return 1
    print(f"done: {out} (files to ship: {out / 'exports'})")
    return 0
