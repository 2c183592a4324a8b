"""The first figures of a run, beside those of the baselines: a section of the report."""

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.sections.exports import files_of
from imgrec.metrics.wording import number, percent
from imgrec.phrases import Phrase
from imgrec.tasks.task import Tile


def headline(given: Evaluated) -> Section:
    """The task's figures beside the baselines', the smallest file that may ship, and a warning of others."""
    files = files_of(given)
    first, *rest = given.task.tiles(given.figures)
    tiles = [first, *_baselines(given), *rest]
    sized = [row for row in files if row["kilobytes"] and row["passed"]]
    if sized:
        row = min(sized, key=lambda row: row["kilobytes"])
        passed = Phrase("{file}, passed the gate", file=row["name"])
        tiles.append((Phrase("Smallest file"), f"{number(row['kilobytes'])} KB", passed))
    failed = [row["name"] for row in files if row["passed"] is False]
    data = {
        "tiles": tiles,
        "images": given.figures["images"],
        "split": given.figures.get("split", "test"),
        "failed": failed,
        "standing": given.standing,
    }
    json = {"test": given.figures, **(given.standing.record() if given.standing else {})}
    return Section(Phrase("Headline figures"), "headline.html.j2", data, json, link="")


def _baselines(given: Evaluated) -> list[Tile]:
    """Return a tile for each baseline: its name, its accuracy, and what the model is beside it."""
    if given.standing is None:
        return []
    words = {
        "better": Phrase("the model is better"),
        "no better": Phrase("the model is no better"),
        "worse": Phrase("the model is worse"),
    }
    if given.task.share != "accuracy":
        share = Phrase(given.task.share)
        words = {key: Phrase("{share}: {verdict}", share=share, verdict=each) for key, each in words.items()}
    return [
        (given.language.capital(each.name), percent(each.accuracy), words[each.verdict])
        for each in given.standing.baselines.values()
    ]
