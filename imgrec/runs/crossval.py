"""Cross-validation of settings: one training process a fold, and the figures of all of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.files import write_json
from imgrec.runs import trainings
from imgrec.runs.child import for_one_training

RECORD = "crossval.json"
FORMAT = "imgrec crossval 1"
KIND = trainings.Kind(RECORD, FORMAT, "a cross-validation")


def cross_validate(config: Config, folds: int, command: str = "") -> int:
    """Train what is not trained yet, and write the figures of all folds; return the exit code.

    Raises:
        InputError: bad settings, or an `--out` that holds something else.
    """
    if folds < 2:
        raise InputError(f"--folds {folds}: expected 2 or more")
    for_one_training(config)
    out = Path(config.run.out)
    settings = {name: value for name, value in config.flat().items() if name != "out"}
    record = trainings.begin(out, {"folds": folds, **settings}, KIND, command)
    for number in range(1, folds + 1):
        fold, name = out / f"fold-{number}", f"{number}/{folds}"
        title = f"fold {number} of {folds}"
        if trainings.is_finished(fold, "data", fold=name):
            print(f"{title}: trained before, {fold}", flush=True)
        elif code := trainings.train(config.replace(fold=name), fold, title, "fold"):
            return code
    finish(out, record, folds)
    return 0


def finish(out: Path, record: dict[str, Any], count: int) -> None:
    """Put the folds together: the table, `out_of_fold.csv`, `crossval.json`."""
    from imgrec.evaluation import cross_validation as figures

    folders = [out / f"fold-{number}" for number in range(1, count + 1)]
    answers = [figures.read_answers(folder / figures.FILE) for folder in folders]
    figures.write_joined(out / figures.FILE, answers)
    held_out = [one.figures for one in answers]
    result = {"out_of_fold": figures.over_folds(held_out), "pooled": figures.pooled(answers)}
    rows: list[dict[str, Any]] = [
        {"fold": number, "images": len(one.ids), **row}
        for number, (one, row) in enumerate(zip(answers, held_out, strict=True), start=1)
    ]
    if record["settings"]["fold_over"] != "all":  # else what is held out is the test split
        tests = [test_figures(folder) for folder in folders]
        result["test"] = figures.over_folds(tests)
        rows = [{**row, "test": test} for row, test in zip(rows, tests, strict=True)]
    write_json(out / RECORD, {**record, "finished": True, **result, "folds": rows})
    print("\n" + table(rows, result))
    print(f"done: {out / RECORD} (every image's probabilities: {out / figures.FILE})")


def test_figures(folder: Path) -> dict[str, float]:
    """Accuracy and balanced accuracy of one fold's model on its test split, as its metrics.json has them."""
    test = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["test"]
    recalls = [row["recall"] for row in test["per_class"] if row["support"]]
    return {"accuracy": test["accuracy"], "balanced_accuracy": sum(recalls) / len(recalls)}


def table(rows: Sequence[dict[str, Any]], result: dict[str, Any]) -> str:
    """The folds and their means, as lines."""
    has_test = "test" in result
    lines = [f"{'fold':>6}{'images':>9}{'accuracy':>11}{'balanced':>11}" + "      test" * has_test]
    for row in rows:
        figures = f"{row['accuracy']:>11.4f}{row['balanced_accuracy']:>11.4f}"
        test = f"{row['test']['accuracy']:>10.4f}" if has_test else ""
        lines.append(f"{row['fold']:>6}{row['images']:>9,}{figures}{test}")
    for where, means in {"held out": result["out_of_fold"], "test": result.get("test", {})}.items():
        for name, figure in means.items():
            low, high = (min(max(end, 0.0), 1.0) for end in figure["interval_95"])
            text = f"{figure['mean']:.4f}, 95 % interval {low:.4f} to {high:.4f}"
            lines.append(f"{where}, {name.replace('_', ' ')}: {text}")
    return "\n".join(lines)
