"""What a model learned from: a section of the report."""

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.tables import OPEN_ROWS
from imgrec.phrases import Phrase


def data(given: Evaluated) -> Section:
    """What the model learned from: facts, and the images of each split, by class where there are classes."""
    counts, names = given.data, given.task.classes
    totals = given.totals or {split: sum(each) for split, each in counts.items()}
    by_class = len(names) > 1 and all(len(each) == len(names) for each in counts.values())
    shown = {
        "facts": given.facts,
        "splits": list(counts),
        "totals": [totals[split] for split in counts],
        "rows": list(zip(names, zip(*counts.values(), strict=True), strict=True)) if by_class else [],
        "open_rows": OPEN_ROWS,
    }
    return Section(Phrase("Data"), "data.html.j2", shown)
