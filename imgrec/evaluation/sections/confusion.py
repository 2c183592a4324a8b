"""Which classes are taken for which: a section of the report."""

from collections.abc import Sequence

import numpy as np

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.figures import heat_map
from imgrec.phrases import Phrase

_TABLE_CLASSES = 20  # up to here a confusion matrix is a table with figures, above it a heat map …
_MAP_CLASSES = 40  # … and above this, where no cell could be seen, the pairs that are confused most
_PAIRS, _MANY_PAIRS = 12, 40


def confusion(given: Evaluated) -> Section | None:
    """The confusion matrix as shaded cells, or as an image, or not at all; and its most frequent mistakes."""
    if "confusion" not in given.figures:
        return None
    names, size = given.task.classes, len(given.task.classes)
    entries = given.figures["confusion"]
    totals = np.bincount([i for i, _, _ in entries], [n for *_, n in entries], minlength=size).tolist()
    wrong = sorted((entry for entry in entries if entry[0] != entry[1]), key=lambda entry: -entry[2])
    frequent = [
        {"label": names[i], "predicted": names[j], "count": n, "share": n / totals[i]}
        for i, j, n in wrong[: _PAIRS if size <= _MAP_CLASSES else _MANY_PAIRS]
    ]
    data = {
        "rows": _cells(entries, totals, names) if size <= _TABLE_CLASSES else [],
        "heat_map": heat_map(entries, size) if _TABLE_CLASSES < size <= _MAP_CLASSES else "",
        "frequent": frequent,
        "pairs": len(wrong),
        "classes": size,
        "images": given.figures["images"],
    }
    return Section(Phrase("What is taken for what"), "confusion.html.j2", data, link=Phrase("Confusion"))


def _cells(
    entries: Sequence[Sequence[int]], totals: Sequence[float], names: Sequence[str]
) -> list[tuple[str, list[tuple[int, float]]]]:
    """Return the rows of the matrix: a class, and for each class the images and the shade, 0…1.

    Shading is the square root of the share: mistakes are rare, and they are what one looks for.
    """
    held = {(i, j): n for i, j, n in entries}
    rows = []
    for i, name in enumerate(names):
        counts = [held.get((i, j), 0) for j in range(len(names))]
        rows.append((name, [(n, float(np.sqrt(n / max(totals[i], 1)))) for n in counts]))
    return rows
