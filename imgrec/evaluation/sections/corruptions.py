"""How many answers corruptions turn wrong: a section of the report, asked for by name."""

from typing import Any

import numpy as np

from imgrec.data.corrupt import CORRUPTIONS, LEAST_SIDE
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.figures import curve, data_uri
from imgrec.evaluation.robustness import chosen
from imgrec.evaluation.robustness import corruptions as under
from imgrec.metrics.answers import printable
from imgrec.phrases import Phrase


def corruptions(
    given: Evaluated,
    severities: Any = "1..5",
    images: int = 2000,
    baseline: str | None = None,
    file: str | None = None,
    seed: int = 0,
) -> Section:
    """The errors under the 15 corruptions of ImageNet-C, and their means, beside a baseline's.

    Args:
        given: with model and images.
        severities: which of 1 to 5, such as `1..5`, `3` or `[1, 3, 5]`.
        images: so many of the split, drawn by `seed`.
        baseline: a run whose errors mCE divides by; without one the run's own clean error is what they are
            held against, under another name.
        file: an exported file of this run, measured on the same pixels.
        seed: of the draws.

    Raises:
        InputError: an option out of range, images below 16 px, another run's classes, or a foreign file.
    """
    subject, whole = chosen.subject_of(given, "corruptions")
    try:
        asked = under.severities_of(severities)
    except ValueError:
        raise InputError(
            f"corruptions(severities={severities}): expected severities from 1 to 5, such as 1..5 or [1, 3]"
        ) from None
    if min(subject.preprocess.size) < LEAST_SIDE:
        raise InputError(
            f"corruptions: the model takes {subject.preprocess.size} px, and they are defined from 16 px on"
        )
    split = chosen.some_of(whole, images, seed, "corruptions")
    answering = [chosen.of_subject("model", subject)]
    if baseline is not None:
        answering.append(chosen.of_run(str(baseline), subject.task, "baseline"))
    if file is not None:
        answering.append(chosen.of_file(str(file), subject))
    found = under.measure(answering, split, asked, int(seed))
    told: dict[str, Any] = {"seed": seed, **under.figures(*found[0], asked)}
    if baseline is not None:
        theirs = under.figures(*found[1], asked)
        told["baseline"] = {"run": str(baseline), **theirs, **under.against(found[0], found[1])}
    if file is not None:
        told["file"] = {"file": str(file), **under.figures(*found[-1], asked)}
    first = split.take(np.arange(1))
    return _section(given, told, first.ids[0], _examples(first, answering[0], asked[-1], int(seed)))


def _examples(first: Split, answering: chosen.Answering, severity: int, seed: int) -> list[str]:
    """Return a picture of each corruption at `severity`, of the first image, as data URIs."""
    held = under.prepared(first, answering.bare)
    shown = [under.corrupted(held, name, severity, seed).images for name in CORRUPTIONS]
    return [data_uri(images[0]) for images in shown if images is not None]


def _section(given: Evaluated, told: dict[str, Any], image: str, pictures: list[str]) -> Section:
    _ = given.language
    severities = told["severities"]
    others = [each for each in (told.get("baseline"), told.get("file")) if each is not None]
    columns = [_("Baseline")] * ("baseline" in told) + [_("File")] * ("file" in told)
    rows = [
        {
            **row,
            "title": CORRUPTIONS[row["name"]].title,
            "picture": picture,
            "others": [each["by_corruption"][place] for each in others],
        }
        for place, (row, picture) in enumerate(zip(told["by_corruption"], pictures, strict=True))
    ]
    widths = [
        (cell["interval_95"][1] - cell["interval_95"][0]) / 2 for row in rows for cell in row["severities"]
    ]
    lines: dict[str, list[float]] = {
        Phrase("clean"): [100 * told["clean"]["error"]] * len(severities),
        Phrase("corrupted"): [100 * each["error"] for each in told["by_severity"]],
    }
    drawn = curve(Phrase("error, %"), severities, lines, across=Phrase("severity"), language=given.language)
    data = {
        "told": told,
        "baseline": told.get("baseline"),
        "file": told.get("file"),
        "rows": rows,
        "others": others,
        "columns": columns,
        "severity": severities[-1],
        "image": printable(image),
        "width": max(widths),
        "share": given.task.share,
        "curve": drawn if len(severities) > 1 else "",
    }
    return Section(Phrase("Under corruption"), "corruptions.html.j2", data, {"corruptions": told})
