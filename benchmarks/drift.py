"""How soon a change of the images is noticed, and how often one is that is none: `--run saved_models/sample`.

Clean streams are the run's validation and test images, none of which the model learned from, divided anew by
chance for each into a reference and a stream, so that they are of one kind beyond doubt; and, as in use,
test images in another order each time against the reference in the run folder. Changes come after 200 clean
requests.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from imgrec import bundle
from imgrec.config import from_mapping
from imgrec.data.corrupt import corrupt
from imgrec.data.loading import load_arrays
from imgrec.runs.session import read_source
from imgrec.serving.predictor import Predictor
from imgrec.watching import measures, reference
from imgrec.watching.drift import DriftDetector
from imgrec.watching.reference import Reference

BEFORE, WITHIN, LENGTH = 200, 500, 2000
Table = dict[str, np.ndarray]


def described(predictor: Predictor, images: np.ndarray) -> Table:
    """Everything that a server would hand the detector, of prepared images, in single precision as there."""
    rows = [measures.of(image) for image in images]
    table = {name: np.array([row[name] for row in rows], np.float32) for name in rows[0]}
    seen = predictor.seen(images)
    table["confidence"], table["label"] = seen.scores.max(axis=1), seen.scores.argmax(axis=1)
    if predictor.unknown is not None and predictor.unknown.known is not None:
        unlike = predictor.unknown.values(seen)[predictor.unknown.chosen(seen)]
        table["unlikeness"] = unlike.astype(np.float32)
    return table


def taken(table: Table, rows: np.ndarray) -> Table:
    """Those rows of every column."""
    return {name: values[rows] for name, values in table.items()}


def first_alarm(detector: DriftDetector, stream: Table) -> Any:
    """The alarm of a stream, or None."""
    columns = {name: part.tolist() for name, part in stream.items()}
    labels = columns.pop("label")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return detector.update_many(rows, labels)


def reference_from(table: Table, classes: int) -> Reference:
    """A table as a run folder would have it."""
    values = {name: part.astype(np.float32) for name, part in table.items() if name != "label"}
    return Reference(values, table["label"].astype(np.int32), classes)


def changed(images: np.ndarray) -> dict[str, np.ndarray]:
    """The images in fog, in the dark, out of focus."""

    def each(name: str) -> np.ndarray:
        return np.stack([corrupt(image, name, 3, key=key) for key, image in enumerate(images)])

    return {"fog": each("fog"), "darkness": (images * 0.5).astype(np.uint8), "blur": each("defocus_blur")}


def main() -> None:
    """Print a line of JSON for clean streams, and one for each change."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--run", type=Path, required=True)
    asked.add_argument("--streams", type=int, default=100)
    asked.add_argument("--repeats", type=int, default=20)
    given = asked.parse_args()
    whole = bundle.read(given.run)
    predictor, preprocess = Predictor.load(given.run), whole.preprocess
    source = read_source(from_mapping(whole.config))
    held = reference.read(given.run, len(whole.labels))
    if held is None:
        raise SystemExit(
            f"{given.run}: has no watching.npz; train it again, with 100 validation images or more"
        )
    test_images = load_arrays(source.test, preprocess)
    test = described(predictor, test_images)
    val = described(predictor, load_arrays(source.val, preprocess))
    print(json.dumps(clean(held, val, test, len(whole.labels), given.streams)), flush=True)
    draw = np.random.default_rng(1)
    some = draw.permutation(len(test_images))[: WITHIN * 2]
    tables = {name: described(predictor, part) for name, part in changed(test_images[some]).items()}
    names = whole.labels
    rarest = [k for k in range(len(names)) if (test["label"] == k).any()]
    for kind, table in {
        **tables,
        **{f"without {names[k]}": taken(test, test["label"] != k) for k in rarest},
    }.items():
        print(json.dumps(change(kind, held, test, table, names, given.repeats)), flush=True)


def clean(held: Reference, val: Table, test: Table, classes: int, streams: int) -> dict[str, Any]:
    """Alarms among so many clean streams, both kinds of them."""
    alarms = {"divided_anew": 0, "as_in_use": 0}
    whole = {name: np.concatenate([val[name], test[name]]) for name in val}
    length = min(LENGTH, len(whole["label"]) // 2)
    for seed in range(streams):
        order = np.random.default_rng(seed).permutation(len(whole["label"]))
        ours = reference_from(taken(whole, order[length:]), classes)
        alarms["divided_anew"] += (
            first_alarm(DriftDetector(ours, seed=seed), taken(whole, order[:length])) is not None
        )
        order = np.random.default_rng(seed).permutation(len(test["label"]))[:LENGTH]
        alarms["as_in_use"] += first_alarm(DriftDetector(held, seed=seed), taken(test, order)) is not None
    return {"clean streams": streams, "requests each": length, "alarms": alarms}


def change(
    kind: str, held: Reference, test: Table, table: Table, names: tuple[str, ...], repeats: int
) -> dict[str, Any]:
    """How many requests after a change the alarm comes, over so many streams, and what it says."""
    delays, said = [], []
    for seed in range(repeats):
        draw = np.random.default_rng(1000 + seed)
        before = taken(test, draw.permutation(len(test["label"]))[:BEFORE])
        after = taken(table, draw.permutation(len(table["label"]))[:WITHIN])
        stream = {name: np.concatenate([before[name], after[name]]) for name in before}
        alarm = first_alarm(DriftDetector(held, seed=seed, names=names), stream)
        delays.append(alarm.request - BEFORE if alarm else None)
        said.append(alarm.words if alarm else "no alarm")
    found = [delay for delay in delays if delay is not None and delay > 0]
    middle = float(np.median(found)) if found else None
    return {
        "change": kind,
        "noticed": len(found),
        "of": repeats,
        "median": middle,
        "latest": max(found, default=None),
        "said": said[0],
    }


if __name__ == "__main__":
    main()
