"""Cross-validate settings, one process a fold: `python -m pipelines.crossval --folds 5 --data FOLDER`."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.runs.child import Training, difference, for_one_training
from pipelines.cli import guarded, parse, take_recipe

DESCRIPTION = """Train once a fold, and say how well the settings do on images that each model has never seen.

  python -m pipelines.crossval --folds 5 --data photos/ --out saved_models/photos_folds

Takes every flag of pipelines.train, and --recipe. The folds divide the training and validation images,
stratified, by --seed; copies of an image stay together. A tenth of what a fold leaves chooses its epoch, so
that what it holds out chooses nothing. The test split stays apart, and every fold's model is measured on it;
--fold-over all divides all images instead.

OUT/crossval.json has means and 95 % intervals (Student's t over the folds), OUT/out_of_fold.csv every
image's probabilities from the model that did not see it, OUT/fold-1 and so on the runs. A finished fold is
not trained again: after an interruption give the same command. Folds are not quantised unless --quantize
says so. Exit codes are train's; a fold that fails ends the command with its own."""

RECORD = "crossval.json"
FORMAT = "imgrec crossval 1"
OUT = "saved_models/crossval"


@dataclass(frozen=True)
class Arguments:
    """How many folds, and the settings of each training."""

    folds: int = 5
    """How many folds, 2 or more."""
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)


def run(arguments: Arguments, command: str = "") -> int:
    """Train what is not trained yet, and write the figures of all folds; return the exit code.

    Raises:
        InputError: bad settings, or an `--out` that holds something else.
    """
    config, count = arguments.config, arguments.folds
    check(arguments)
    out = Path(config.run.out)
    record = begin(out, arguments, command)
    for number in range(1, count + 1):
        fold = out / f"fold-{number}"
        if is_finished(fold, f"{number}/{count}"):
            print(f"fold {number} of {count}: trained before, {fold}", flush=True)
            continue
        code = train(config.replace(fold=f"{number}/{count}"), fold, f"fold {number} of {count}")
        if code:
            return code
    return finish(out, record, count)


def check(arguments: Arguments) -> None:
    """Refuse settings that make no cross-validation, before anything is written."""
    config = arguments.config
    if arguments.folds < 2:
        raise InputError(f"--folds {arguments.folds}: expected 2 or more")
    if config.data.fold:
        raise InputError(f"--fold {config.data.fold}: crossval trains every fold; leave it out")
    for_one_training(config)


def begin(out: Path, arguments: Arguments, command: str) -> dict[str, Any]:
    """Return what `crossval.json` says of these settings, written where there is none yet.

    Raises:
        InputError: the folder has another cross-validation's, or something else.
    """
    settings = {name: value for name, value in arguments.config.flat().items() if name != "out"}
    settings = json.loads(json.dumps({"folds": arguments.folds, **settings}))
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
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: holds something that is no cross-validation; name a new folder")
    from imgrec.files import write_json

    record = {"format": FORMAT, "finished": False, "command": command, "settings": settings}
    write_json(path, record)
    return record


def is_finished(fold: Path, name: str) -> bool:
    """Whether the run folder of the fold `name`, such as 1/5, is whole and its files passed their gate."""
    from imgrec import bundle

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
        for row in training.epochs():
            print(
                f"{title}  epoch {row['epoch']:.0f}/{config.optim.epochs}  val_acc {row['val_accuracy']:.4f}",
                flush=True,
            )
        code = training.exit_code
    if code:
        print(f"{title} ended with exit code {code}: {training.last_line()}", file=sys.stderr)
        print(f"its log: {training.log}; the same command goes on with this fold", file=sys.stderr)
    else:
        print(f"{title}: done in {time.perf_counter() - begun:,.0f} s", flush=True)
    return code


def finish(out: Path, record: dict[str, Any], count: int) -> int:
    """Put the folds together: the table, `out_of_fold.csv`, `crossval.json`."""
    from imgrec.evaluation import cross_validation as figures
    from imgrec.files import write_json

    folders = [out / f"fold-{number}" for number in range(1, count + 1)]
    answers = [figures.read_answers(folder / figures.FILE) for folder in folders]
    figures.write_joined(out / figures.FILE, answers)
    tests = [test_figures(folder) for folder in folders]
    held_out = [one.figures for one in answers]
    everything = record["settings"]["fold_over"] == "all"
    result = {
        "out_of_fold": figures.over_folds(held_out),
        "pooled": figures.pooled(answers),
        # Over all images what is held out is the test split.
        **({} if everything else {"test": figures.over_folds(tests)}),
    }
    rows = [
        {"fold": number, "images": len(one.ids), **row, **({} if everything else {"test": test})}
        for number, (one, row, test) in enumerate(zip(answers, held_out, tests, strict=True), start=1)
    ]
    write_json(out / RECORD, {**record, "finished": True, **result, "folds": rows})
    print("\n" + table(rows, result))
    print(f"done: {out / RECORD} (every image's probabilities: {out / figures.FILE})")
    return 0


def test_figures(folder: Path) -> dict[str, float]:
    """Accuracy and balanced accuracy of one fold's model on its test split, as its metrics.json has them."""
    test = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["test"]
    recalls = [row["recall"] for row in test["per_class"] if row["support"]]
    return {"accuracy": test["accuracy"], "balanced_accuracy": sum(recalls) / len(recalls)}


def table(rows: Sequence[dict[str, Any]], result: dict[str, Any]) -> str:
    """The folds and their means, as lines."""
    lines = [
        f"{'fold':>6}{'images':>9}{'accuracy':>11}{'balanced':>11}"
        + ("      test" if "test" in result else "")
    ]
    for row in rows:
        test = f"{row['test']['accuracy']:>10.4f}" if "test" in row else ""
        lines.append(
            f"{row['fold']:>6}{row['images']:>9,}{row['accuracy']:>11.4f}{row['balanced_accuracy']:>11.4f}{test}"
        )
    sets = {"held out": result["out_of_fold"], **({"test": result["test"]} if "test" in result else {})}
    for where, means in sets.items():
        for name, figure in means.items():
            low, high = (min(max(end, 0.0), 1.0) for end in figure["interval_95"])
            text = f"{figure['mean']:.4f}, 95 % interval {low:.4f} to {high:.4f}"
            lines.append(f"{where}, {name.replace('_', ' ')}: {text}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    words = list(sys.argv[1:] if argv is None else argv)
    recipe, rest = take_recipe(words)
    start = Arguments(config=recipe.replace(out=OUT, quantize="none"))
    options = {"prog": "python -m pipelines.crossval", "description": DESCRIPTION}
    arguments = parse(Arguments, rest, default=start, **options)
    return run(arguments, " ".join(["python -m pipelines.crossval", *words]))


if __name__ == "__main__":
    guarded(main)
