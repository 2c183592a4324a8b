"""MODEL_CARD.md: what a run is, what it is for and where it fails, in sentences, from what was measured.

The headings follow Mitchell et al., "Model Cards for Model Reporting", 2019 (arXiv 1810.03993), where the run
has something to say under them; what nobody measured is not in it.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imgrec.evaluation.evaluated import Evaluated
from imgrec.evaluation.sections.figures import NAMES, told
from imgrec.files import write_text
from imgrec.metrics.wording import percent

FILE = "MODEL_CARD.md"
_SHOWN = 8


def write_card(folder: Path, given: Evaluated, metrics: Mapping[str, Any]) -> None:
    """Write the card of a trained run, of what `metrics`, its metrics.json, has."""
    parts = {
        "The model": _model(given),
        "Data": _data(given),
        "Use": _use(given),
        "Figures": _figures(metrics),
        "Where it is weak": _weak(metrics),
        "How sure it is": _calibration(given, metrics),
        "Files": _files(given),
        "Licences": _licences(given),
        "Versions": [_command(given), _versions(given)],
    }
    lines = [f"# Model card: {_plain(given.title)}", "", "Written by imgrec from the run that it lies in."]
    for heading, sentences in parts.items():
        held = [each for each in sentences if each]
        lines += ["", f"## {heading}", "", *held] if held else []
    write_text(folder / FILE, "\n".join(lines) + "\n")


def _plain(text: object) -> str:
    """Return a user's text on one line and without what Markdown or HTML would make something of."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(str(text).split()))


def _code(text: object) -> str:
    """Return a user's text as code, on one line."""
    return f"`{' '.join(str(text).split()).replace('`', '')}`"


def _listed(names: Sequence[object]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(_plain(name) for name in names[:_SHOWN]) + more


def _model(given: Evaluated) -> list[str]:
    config, parts = given.config, []
    parts.append(f"A network {_code(config.get('model'))} for the task {given.task.name}.")
    if given.subject is not None:
        height, width, channels = given.subject.preprocess.shape
        colour = "grey" if channels == 1 else "colour"
        count = given.subject.model.count_params()
        parts.append(f"It has {count:,} parameters and sees {colour} images of {width} × {height} pixels.")
    if given.best_epoch is not None:
        count = len(given.history)
        parts.append(
            f"Trained for {count} epoch{'s' * (count != 1)}; the weights are those of epoch "
            f"{given.best_epoch}, the best one on the validation images."
        )
    return [" ".join(parts)]


def _data(given: Evaluated) -> list[str]:
    totals = given.totals or {name: sum(counts) for name, counts in given.data.items()}
    counts = ", ".join(f"{count:,} {name}" for name, count in totals.items())
    facts = given.facts
    parts = [f"Source: {_code(facts.get('source', 'unknown'))}, {counts} images."]
    parts.append(f"Classes: {len(given.task.classes):,} ({_listed(given.task.classes)}).")
    absent = [
        name
        for split, held in given.data.items()
        if split == "test" and len(held) == len(given.task.classes)
        for name, count in zip(given.task.classes, held, strict=True)
        if not count
    ]
    if absent:
        parts.append(f"The test images have none of {_listed(absent)}: nothing is known of these classes.")
    if "fingerprint" in facts:
        parts.append(f"Fingerprint: `{str(facts['fingerprint'])[:16]}`.")
    return [" ".join(parts)]


def _use(given: Evaluated) -> list[str]:
    held = given.task.calibration
    parts = [f"It says which of these {len(given.task.classes):,} classes a picture shows."]
    if given.task.labels == "classes":
        parts = [f"It says which of these {len(given.task.classes):,} labels a picture bears, any number."]
    if held is not None and held.abstention is not None:
        parts.append("It declines to answer where it is not sure enough.")
    elif given.task.labels == "class":
        parts.append("It names one of them for every picture, also for one that shows none of them.")
    parts.append(
        "The figures hold for pictures taken like those of the data; of others nothing was measured here. "
        "Whether decisions about people, health or safety may rest on it, this run cannot say."
    )
    return [" ".join(parts)]


def _figures(metrics: Mapping[str, Any]) -> list[str]:
    found = metrics.get("figures")
    if not found:
        return []
    rows = ["| figure | value | 95 % interval |", "|---|---|---|"]
    for name, figure in found["overall"].items():
        value, ends = figure["value"], figure["interval_95"]
        if value is not None or "gap" in figure:
            shown = "–" if value is None else told(name, value)
            width = " to ".join(told(name, end) for end in ends) if ends else figure["gap"]
            rows.append(f"| {NAMES[name]} | {shown} | {width} |")
    count = found["images"]
    few = " So few images tell little: read the intervals first." if count < 100 else ""
    return [f"Measured on {count:,} test images, which chose nothing.{few}\n", *rows]


def _weak(metrics: Mapping[str, Any]) -> list[str]:
    parts = []
    rows = [row for row in metrics.get("figures", {}).get("per_class", []) if row["support"]]
    rows.sort(key=lambda row: row["recall"]["value"])
    for row in rows[:3]:
        low, high = row["recall"]["interval_95"]
        parts.append(
            f"- Of {row['support']} images of {_plain(row['label'])} "
            f"{percent(row['recall']['value'])} are found (95 % interval {percent(low)} to {percent(high)})."
        )
    for pair in metrics.get("hard_images", {}).get("confused", [])[:3]:
        parts.append(
            f"- {_plain(pair['label'])} is taken for {_plain(pair['predicted'])} on {pair['count']} of "
            f"{pair['images']} images."
        )
    judged = metrics.get("slices", {}).get("judged", [])
    for each in (each for each in judged if each["weak"]):
        low, high = each["interval_95"]
        parts.append(
            f"- Images with {_plain(each['attribute'])} {_plain(each['value'])}: {percent(each['right'])} "
            f"right ({percent(low)} to {percent(high)}), {abs(100 * each['difference']):.1f} points below "
            "the others."
        )
    if judged and not any(each["weak"] for each in judged):
        parts.append(f"- Of {len(judged)} slices of the images none is shown to be worse than the others.")
    if metrics.get("by_chance"):
        parts.insert(0, "- **It is not shown to answer better than by chance.**")
    return parts


def _calibration(given: Evaluated, metrics: Mapping[str, Any]) -> list[str]:
    held, parts = given.task.calibration, []
    error = metrics.get("test", {}).get("expected_calibration_error")
    if error is not None:
        parts.append(
            f"Its probabilities are off by {percent(error)} on average (expected calibration error)."
        )
    if held is None:
        parts.append("They are as the network gives them; nothing was fitted to correct them.")
    else:
        if held.scaling is not None:
            scaling = held.scaling
            parts.append(
                f"They are scaled ({scaling.method}, fitted on {scaling.images:,} validation images), in the "
                "exported files too."
            )
        if held.sets is not None:
            parts.append(
                f"Prediction sets are made to hold the true class of {percent(held.sets.coverage)} of images "
                f"like the {held.sets.images:,} validation images that set their threshold."
            )
        if held.abstention is not None:
            wanted = held.abstention
            parts.append(f"Below a probability of {wanted.threshold:.3f} it does not answer.")
    return [" ".join(parts)]


def _files(given: Evaluated) -> list[str]:
    lines = [
        f"- `{row['name']}`: {row['kilobytes']:,.0f} KB, answers as the model on {percent(row['agreement'])} "
        f"of {given.parity_images:,} test images, right on {percent(row['accuracy'])}."
        for row in given.exports
        if row.get("kilobytes") and row.get("agreement") is not None and given.parity_images
    ]
    return lines + [f"- **Do not ship:** {_plain(each)}." for each in given.failures]


def _licences(given: Evaluated) -> list[str]:
    weights, model = str(given.config.get("weights", "none")), str(given.config.get("model", ""))
    images = "The licence of the images is that of their source; imgrec does not know it."
    if given.facts.get("source") == "sample":
        images = "The images are a part of Fashion-MNIST, MIT licence."
    return [f"{_licence(weights, model)} {images}"]


def _licence(weights: str, model: str) -> str:
    """Return what is known of the licence of the weights that the training began with."""
    if weights in ("none", "auto", ""):
        return "The training began with random weights, so no one else's licence is on them."
    if weights != "imagenet":
        return f"The training began with the weights in {_code(weights)}, whose licence imgrec does not know."
    from imgrec.models.pretrained import PACKAGED

    if model.split("(")[0] in PACKAGED:
        return "The training began with Google's ImageNet weights, Apache-2.0."
    return "The training began with the ImageNet weights of keras.applications; see there for their licence."


def _command(given: Evaluated) -> str:
    return f"Made by {_code(given.command)}.\n" if given.command else ""


def _versions(given: Evaluated) -> str:
    return ", ".join(f"{name} {version}" for name, version in given.versions.items()) + "."
