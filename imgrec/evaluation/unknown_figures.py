"""Figures of scores that tell unknown images from known ones, and of how sure a model is, as SVG."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from imgrec.evaluation.figures import FIRST, SECOND, canvas, svg
from imgrec.evaluation.language import Language
from imgrec.phrases import Phrase

_BINS = 40
Line = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Positions across, and heights."""


def histogram(
    groups: Mapping[Phrase, NDArray[np.floating]], threshold: float, across: str, language: Language
) -> str:
    """Return an SVG of two groups' scores, in per cent of each, with the threshold between them.

    Args:
        groups: name → scores, the known images' first.
        threshold: above it an image is called unknown.
        across: what the scores are.
        language: of the words.
    """
    ends = np.percentile(np.concatenate(list(groups.values())), (0.5, 99))
    low, high = min(float(ends[0]), threshold), max(float(ends[1]), threshold)
    bins = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    with canvas(across, (5.0, 3.4)) as figure:
        axes = _axes(figure)
        for (name, values), colour in zip(groups.items(), (SECOND, FIRST), strict=True):
            shown = np.clip(values, bins[0], bins[-1])  # what lies beyond stands at the edge
            weights = np.full(len(values), 100 / len(values))
            axes.hist(shown, bins.tolist(), weights=weights, color=colour, alpha=0.6, label=name)
        axes.axvline(threshold, color=FIRST, linestyle="--", linewidth=1.2)
        axes.set(xlabel=across, ylabel=Phrase("% of the images"))
        axes.legend(frameon=False, fontsize=10)
        return svg(figure, f"{language(across)}: {', '.join(map(language, groups))}", language)


def lines(
    names: tuple[str, str], held: Mapping[Phrase, Line], language: Language, guess: bool = False
) -> str:
    """Return an SVG of up to two lines.

    Args:
        names: of the horizontal and the vertical axis.
        held: name → line, the important one first.
        language: of the words.
        guess: whether to draw the diagonal that guessing reaches.
    """
    label = f"{language(names[1])}, {language(names[0])}: {', '.join(map(language, held))}"
    with canvas(" ".join((*names, *held)), (5.0, 3.4)) as figure:
        axes = _axes(figure)
        if guess:
            axes.plot((0, 1), (0, 1), color=FIRST, linewidth=0.8, alpha=0.6)
        looks = ((SECOND, "-"), (FIRST, "--"))
        for (name, (across, up)), (colour, dash) in zip(held.items(), looks, strict=False):
            axes.plot(across, up, dash, color=colour, linewidth=2, label=name)
        axes.set(xlabel=names[0], ylabel=names[1])
        axes.legend(frameon=False, fontsize=10)
        return svg(figure, label, language)


def _axes(figure: Figure) -> Axes:
    axes = figure.add_subplot()
    axes.grid(axis="y", linewidth=0.8)
    axes.set_axisbelow(True)
    return axes
