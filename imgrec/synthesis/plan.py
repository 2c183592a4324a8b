"""What a synthesis is about to do: the set that it learns from, the classes that it makes, their size."""

from dataclasses import dataclass

from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source
from imgrec.data.sources.load import load_source
from imgrec.data.sources.long_tail import long_tailed
from imgrec.errors import InputError
from imgrec.registry import lookup
from imgrec.synthesis.networks import LARGEST
from imgrec.synthesis.settings import SynthesisSettings


@dataclass(frozen=True)
class Plan:
    """All that is settled before a pair is trained.

    source: the set, of which the training split is learned from.
    learned_from: fingerprint of the set before any long tail was cut, by which train knows its splits.
    preprocess: what makes pixels of it.
    labels: numbers of the classes to make images of.
    """

    settings: SynthesisSettings
    source: Source
    learned_from: str
    preprocess: Preprocess
    labels: tuple[int, ...]


def prepare(settings: SynthesisSettings) -> Plan:
    """Load the set and find the classes in it.

    Raises:
        InputError: bad data, no class named, or an unknown one.
    """
    data = settings.data_config(policy=settings.policy, audit=False)  # copies do no harm here
    source = load_source(data, settings.seed)
    learned_from = source.fingerprint
    if settings.long_tail:
        source = long_tailed(source, settings.long_tail, settings.seed)
    labels = chosen(settings.classes, source)
    side = settings.image_size or min(source.side, LARGEST)
    preprocess = Preprocess((side, side), source.colour, max_pixels=settings.max_pixels, bits=source.bits)
    return Plan(settings, source, learned_from, preprocess, labels)


def chosen(text: str, source: Source) -> tuple[int, ...]:
    """Return the class numbers that `text` names, joined by commas, each once.

    Raises:
        InputError: no name, or an unknown one; the known are listed.
    """
    known = {name: number for number, name in enumerate(source.classes)}
    if not text.strip():
        counts = source.train.counts(len(known))
        rare = sorted(known, key=lambda name: counts[known[name]])[:5]
        listed = ", ".join(f"{name} ({counts[known[name]]:,})" for name in rare)
        raise InputError(
            f"--classes: name those to make images of, joined by commas; those with the fewest training "
            f"images: {listed}"
        )
    names = [text] if text in known else [part.strip() for part in text.split(",") if part.strip()]
    return tuple(dict.fromkeys(lookup(known, name, "class in --classes") for name in names))


def overview(plan: Plan) -> list[str]:
    """What is about to happen, in a few lines."""
    source, side = plan.source, plan.preprocess.size[0]
    counts = source.train.counts(len(source.classes))
    listed = ", ".join(f"{source.classes[n]} (of {counts[n]:,} training images)" for n in plan.labels)
    made = f"{plan.settings.count:,} images of {side} × {side}, {source.colour}"
    lines = [f"note: {note}" for note in source.notes]
    lines.append(f"learning from {len(source.train):,} training images of {len(source.classes)} classes")
    lines.append(f"to make {made}, of: {listed}")
    if source.side > side:
        lines.append(f"note: the data's own images are larger, {source.side} pixels; these will be enlarged")
    return lines
