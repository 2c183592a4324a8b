"""Cross-validation of settings: one training process a fold, and the figures of all of them."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from imgrec import bundle, places
from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.files import write_json
from imgrec.runs.child import Training, difference, for_one_training

RECORD = "crossval.json"
FORMAT = "imgrec crossval 1"


def cross_validate(config: Config, folds: int, command: str = "") -> int:
    """Train what is not trained yet, and write the figures of all folds; return the exit code.

    Raises:
        InputError: bad settings, or an `--out` that holds something else.
    """
    if folds < 2:
        raise InputError(f"--folds {folds}: expected 2 or more")
    for_one_training(config)
    out = Path(config.run.out)
    record = begin(out, config, folds, command)
    for number in range(1, folds + 1):
        fold, name = out / f"fold-{number}", f"{number}/{folds}"
        title = f"fold {number} of {folds}"
        if is_finished(fold, name):
            print(f"{title}: trained before, {fold}", flush=True)
        elif code := train(config.replace(fold=name), fold, title):
            return code
    finish(out, record, folds)
    return 0


def begin(out: Path, config: Config, folds: int, command: str) -> dict[str, Any]:
    """Return what `crossval.json` says of these settings, written where there is none yet.

    Raises:
        InputError: the folder has another cross-validation's, or something else.
    """
    settings = {name: value for name, value in config.flat().items() if name != "out"}
    settings = json.loads(json.dumps({"folds": folds, **settings}))
    path = out / RECORD
    if path.is_file():
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            held = {}
        if held.get("format") != FORMAT:
            raise InputError(f"{path}: not a file of ours; name another --out")
        changed = difference(held["settings"], settings)
        if changed:
            raise InputError(
                f"{out} holds a cross-validation of other settings ({changed}): name another --out"
            )
        return held
    if places.has_content(out):
        raise InputError(f"--out {out}: holds something that is no cross-validation; name a new folder")
    places.make_folder(out)
    record = {"format": FORMAT, "finished": False, "command": command, "settings": settings}
    write_json(path, record)
    return record


def is_finished(fold: Path, name: str) -> bool:
    """Whether the run folder of the fold `name`, such as 1/5, is whole and its files passed their gate."""
    try:
        run = bundle.read(fold).run
    except InputError:
        return False
    metrics = json.loads((fold / "metrics.json").read_text(encoding="utf-8"))
    return run["config"]["data"]["fold"] == name and not metrics["exports"]["failures"]


def train(config: Config, fold: Path, title: str) -> int:
    """Train one fold, with a line an epoch; return its exit code, having said why where it failed."""
    begun = time.perf_counter()
    with Training(config, fold) as training:
        print(f"{title}: training, log {training.log}", flush=True)
        of = "" if config.flat()["epochs"] == "auto" else f"/{config.optim.epochs}"
        for row in training.epochs():
            print(f"{title}  epoch {row['epoch']:.0f}{of}  val_acc {row['val_accuracy']:.4f}", flush=True)
        code = training.exit_code
    if code:
        print(f"{title} ended with exit code {code}: {training.last_line()}", file=sys.stderr)
        print(f"its log: {training.log}; the same command goes on with this fold", file=sys.stderr)
    else:
        print(f"{title}: done in {time.perf_counter() - begun:,.0f} s", flush=True)
    return code


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
