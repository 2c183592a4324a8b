"""Which of several runs is better, and what the images cannot tell: by the answers that they left."""

import csv
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec import bundle, tasks
from imgrec.errors import InputError
from imgrec.evaluation import stored
from imgrec.metrics import bootstrap, paired_draws
from imgrec.metrics.intervals import wilson_interval
from imgrec.metrics.paired import SIGNIFICANT, Paired, from_answers, holm
from imgrec.metrics.paired_draws import Difference

NEEDED = frozenset({"run.json", "predictions.csv", "metrics.json"})


@dataclass(frozen=True)
class Answers:
    """What a run, or an evaluation of one, answered.

    truth, right: by the image's id, what it shows and whether the answer was right.
    data: name and fingerprint of the images.
    files: its exported files, as metrics.json has them.
    one_label: whether each image has one label.
    surprise: by the image's id, `task.surprise`: its mean is the log loss. Empty where no outputs are kept.
    """

    name: str
    truth: dict[str, str]
    right: dict[str, bool]
    data: tuple[str, str]
    files: list[dict[str, Any]]
    one_label: bool = True
    surprise: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """Two runs held against each other; the first is right on no fewer images.

    p_holm: its p value, raised for as many pairs as there are (Holm, "A simple sequentially rejective
        multiple test procedure", 1979).
    figures: other figures held against each other, by drawing the images anew.
    """

    first: str
    second: str
    paired: Paired
    p_holm: float
    figures: tuple[Difference, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the images show that the first is better, of several pairs all taken together."""
        return self.p_holm < SIGNIFICANT

    def __str__(self) -> str:
        """What it means, as a sentence."""
        points = 100 * self.paired.difference
        low, high = (f"{100 * end:.1f}".replace("-", "−") for end in self.paired.interval_95)
        one, other, sure = self.first, self.second, f"p {_p(self.p_holm)}"
        if self.differs:
            return f"{one} is better than {other} by {points:.1f} points ({low} to {high}), {sure}"
        return f"{one} and {other}: no difference shown ({points:.1f} points, {low} to {high}; {sure})"


@dataclass(frozen=True)
class Comparison:
    """Runs by the images that all of them answered.

    images: how many those are.
    right: name → the share that is right, and its 95 % interval (Wilson).
    notes: what else should be known, one line each.
    """

    images: int
    runs: tuple[Answers, ...]
    right: dict[str, tuple[float, list[float]]]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        runs = [
            {
                "run": run.name,
                "right": self.right[run.name][0],
                "interval_95": self.right[run.name][1],
                "data": run.data[0],
                "files": run.files,
            }
            for run in self.runs
        ]
        pairs = [
            {
                "first": pair.first,
                "second": pair.second,
                **pair.paired.record(),
                "p_holm": pair.p_holm,
                "differs": pair.differs,
                "sentence": str(pair),
                "figures": [each.record() for each in pair.figures],
            }
            for pair in self.pairs
        ]
        return {"images": self.images, "runs": runs, "pairs": pairs, "notes": list(self.notes)}

    def __str__(self) -> str:
        """The runs as a table, then a sentence a pair."""
        width = max(len("run"), *(len(run.name) for run in self.runs))
        lines = [f"{'run':<{width}}   right   95 % interval     files: KB, ms an image"]
        for run in self.runs:
            share, (low, high) = self.right[run.name]
            files = ", ".join(
                f"{row['name']} {row['kilobytes']:,.0f} KB {row['ms_per_image']:.2f} ms" for row in run.files
            )
            interval = f"{100 * low:.1f} to {100 * high:.1f} %"
            lines.append(f"{run.name:<{width}}  {100 * share:5.1f} %  {interval:<16}  {files or '–'}")
        notes = [f"note: {note}" for note in self.notes]
        held = f"on {self.images:,} images that all of them answered:"
        told = [line for pair in self.pairs for line in (str(pair), *map(_line, pair.figures))]
        return "\n".join([*notes, held, *lines, "", *told])


def compare(paths: Sequence[Path]) -> Comparison:
    """Compare finished runs, or evaluations of them, by their answers to the same images.

    Raises:
        InputError: fewer than two, no finished run, or test images that are not the same.
    """
    if len(paths) < 2:
        raise InputError(f"{len(paths)} run{'s' * (len(paths) != 1)} to compare: expected two or more")
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError("a run is named twice; name different ones")
    runs = tuple(read(path, name) for path, name in zip(paths, names, strict=True))
    ids = _common(runs)
    rows = {run.name: np.array([run.right[each] for each in ids]) for run in runs}
    order = sorted(runs, key=lambda run: -int(rows[run.name].sum()))
    right = {
        name: (float(row.mean()), wilson_interval(int(row.sum()), len(row))) for name, row in rows.items()
    }
    return Comparison(len(ids), tuple(order), right, _pairs(order, rows, ids), _notes(runs, len(ids)))


def read(path: Path, name: str) -> Answers:
    """Read the answers that a run folder, or an evaluation's, holds.

    Raises:
        InputError: it is neither, or differs from its manifest, or its answers are not right or wrong.
    """
    bundle.verify(path, NEEDED)
    with open(path / "predictions.csv", encoding="utf-8", newline="") as stream:
        table = csv.DictReader(stream)
        columns = list(table.fieldnames or ())
        if columns[:1] != ["id"] or "correct" not in columns[2:]:
            raise InputError(
                f"{path / 'predictions.csv'}: its columns are {', '.join(columns)}, expected id, the truth "
                "and correct; compare runs that answer right or wrong"
            )
        rows = list(table)
    data = json.loads((path / "run.json").read_text(encoding="utf-8"))["data"]
    metrics = json.loads((path / "metrics.json").read_text(encoding="utf-8"))
    return Answers(
        name,
        {row["id"]: row[columns[1]] for row in rows},
        {row["id"]: row["correct"] == "1" for row in rows},
        (data["name"], data["fingerprint"]),
        metrics.get("exports", {}).get("files", []),
        columns[1] == "label",
        _surprise(path),
    )


def _surprise(path: Path) -> dict[str, float]:
    """Return how unlikely each truth was to a run, by the image's id; empty where it kept no outputs.

    Raises:
        InputError: its outputs are damaged, or not finite.
    """
    if not (path / stored.FILE).is_file():
        return {}
    task = tasks.read(path)
    held = stored.read(path, task).get("test")
    if held is None:
        return {}
    values = task.surprise(task.scores(held.outputs), held.labels)
    if values is None:
        return {}
    if not np.isfinite(values).all():
        raise InputError(f"{path / stored.FILE}: answers that are not finite numbers; train again")
    return dict(zip(held.ids, values.tolist(), strict=True))


def _common(runs: Sequence[Answers]) -> list[str]:
    """Return the ids of the images that all runs answered.

    Raises:
        InputError: there are none, or one of them shows something else to another run.
    """
    first = runs[0]
    ids = [each for each in first.truth if all(each in run.truth for run in runs)]
    if not ids:
        held = ", ".join(f"{run.name} {run.data[0]}" for run in runs)
        raise InputError(
            f"no test image in common ({held}): measure them on one set by python -m pipelines.evaluate, and "
            "compare the evaluations"
        )
    for run in runs[1:]:
        for each in ids:
            was, now = first.truth[each], run.truth[each]
            if was != now:
                raise InputError(
                    f"{each} is {was!r} for {first.name} and {now!r} for {run.name}: "
                    "not the same test images; measure both on one set by python -m pipelines.evaluate"
                )
    return ids


def _pairs(
    order: Sequence[Answers], rows: dict[str, NDArray[np.bool_]], ids: Sequence[str]
) -> tuple[Pair, ...]:
    """Hold every run against every other, and raise the p values for their number."""
    both = list(itertools.combinations(order, 2))
    found = [from_answers(rows[one.name], rows[other.name]) for one, other in both]
    raised = holm([paired.p_value for paired in found])
    figures = _raised([_figures(one, other, rows, ids) for one, other in both])
    return tuple(
        Pair(one.name, other.name, paired, p, more)
        for (one, other), paired, p, more in zip(both, found, raised, figures, strict=True)
    )


def _figures(
    one: Answers, other: Answers, rows: dict[str, NDArray[np.bool_]], ids: Sequence[str]
) -> list[Difference]:
    """Return balanced accuracy and log loss of two runs, those of which the images can tell something."""
    first, second = rows[one.name], rows[other.name]
    wrong = min(int((~side).sum()) for side in (first, second))
    found: list[Difference | None] = []
    if one.one_label:
        found.append(paired_draws.of_balanced([one.truth[each] for each in ids], first, second))
    if all(each in run.surprise for run in (one, other) for each in ids) and wrong >= bootstrap.LEAST:
        sides = (np.array([run.surprise[each] for each in ids]) for run in (one, other))
        found.append(paired_draws.of_means("log loss", *sides))
    return [each for each in found if each is not None]


def _raised(pairs: Sequence[Sequence[Difference]]) -> list[tuple[Difference, ...]]:
    """Raise the p values of each figure for as many pairs as have it."""
    values: dict[str, list[float]] = {}
    for each in itertools.chain(*pairs):
        values.setdefault(each.figure, []).append(each.p_value)
    raised = {name: iter(holm(held)) for name, held in values.items()}
    return [tuple(replace(each, p_holm=next(raised[each.figure])) for each in found) for found in pairs]


def _line(found: Difference) -> str:
    """Return what drawing says of another figure, as a line below its pair's sentence."""
    scale, unit = (1, "") if found.figure == "log loss" else (100, " points")
    numbers = (found.difference, *found.interval_95)
    digits = 3 if scale == 1 else 1
    gap, low, high = (f"{scale * each:+.{digits}f}".replace("-", "\N{MINUS SIGN}") for each in numbers)
    verdict = "differs" if found.differs else "no difference shown"
    return f"  {found.figure}: {verdict} ({gap}{unit}, {low} to {high}; p {_p(found.p_holm)})"


def _notes(runs: Sequence[Answers], images: int) -> tuple[str, ...]:
    notes = []
    if any(len(run.truth) != images for run in runs):
        counts = ", ".join(f"{run.name} {len(run.truth):,}" for run in runs)
        notes.append(f"the test splits differ ({counts} images); only what they share is compared")
    if len({run.data[0] for run in runs}) > 1 and len({run.data[1] for run in runs}) > 1:
        held = ", ".join(f"{run.name} {run.data[0]}" for run in runs)
        notes.append(f"the data are named differently ({held}); images are matched by id and label")
    without = [run.name for run in runs if not run.surprise]
    if without and len(without) < len(runs):
        notes.append(f"{', '.join(without)} kept no outputs, so log loss is not compared; evaluate anew")
    return tuple(notes)


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"= {value:.3f}".replace("0.", ".", 1)
