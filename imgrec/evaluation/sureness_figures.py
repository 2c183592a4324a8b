"""Drawings of sureness: the reliability diagram, and what is wrong among the answers that are given."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imgrec.evaluation.figures import FIRST, INK, LINE, SECOND, canvas, svg
from imgrec.evaluation.language import Language
from imgrec.phrases import Phrase


def diagram(title: str, bins: Sequence[Mapping[str, Any]], language: Language) -> str:
    """Return an SVG of how often decisions came true over how sure they were, and how many there are.

    Args:
        title: of the drawing, a phrase.
        bins: `metrics.reliability.Bin` as mappings, N ≥ 1.
        language: of the words in it.
    """
    across, up = Phrase("how sure"), Phrase("how often true")
    sure, hits = ([row[key] for row in bins] for key in ("sureness", "hits"))
    reach = np.abs(np.array([row["interval"] for row in bins]).T - np.array(hits))
    middles = [(row["low"] + row["high"]) / 2 for row in bins]
    counts = [row["count"] for row in bins]
    with canvas(str(title), (5.4, 4.4)) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        above.plot([0, 1], [0, 1], "--", color=FIRST, linewidth=1.2)
        above.errorbar(sure, hits, yerr=reach, fmt="o", color=SECOND, markersize=5, linewidth=1.4)
        above.set(ylabel=str(up), title=str(title), ylim=(-0.02, 1.05))
        above.grid(linewidth=0.8)
        below.bar(middles, counts, 0.9 * (bins[0]["high"] - bins[0]["low"]), color=SECOND)
        for middle, count in zip(middles, counts, strict=True):
            below.annotate(
                str(count), (middle, count), (0, 2), textcoords="offset points",
                ha="center", va="bottom", fontsize=7.5, color=INK,
            )  # fmt: skip
        below.set(xlabel=str(across), xlim=(0, 1), ylim=(0, 1.3 * max(counts)))
        below.yaxis.set_visible(False)
        label = language(
            "{title}: {points}",
            title=language(title),
            points=", ".join(f"{s:.2f} → {h:.2f} ({c})" for s, h, c in zip(sure, hits, counts, strict=True)),
        )
        return svg(figure, label, language)


def risks(told: Mapping[str, Any], language: Language) -> str:
    """Return an SVG of the share of wrong answers over the share of images that are answered.

    Args:
        told: what `sureness.judge` has under `selective`.
        language: of the words in it.
    """
    across, up = Phrase("images answered"), Phrase("of these wrong")
    coverage, risk = np.array(told["curve"]).T
    with canvas("risk and coverage") as figure:
        axes = figure.add_subplot()
        axes.grid(linewidth=0.8)
        axes.plot(coverage, risk, "-", color=SECOND, linewidth=2)
        if told["threshold"] is not None and told["risk"] is not None:
            axes.plot([told["answered"]], [told["risk"]], "o", color=FIRST, markersize=8)
        if told.get("wanted") == "risk":
            axes.axhline(told["value"], color=LINE, linestyle="--")
        axes.set(xlabel=str(across), ylabel=str(up), xlim=(0, 1.01), ylim=(0, None))
        label = language(
            "{up} over {across}: {risk} where every image is answered",
            up=language(up),
            across=language(across),
            risk=f"{risk[-1]:.3f}",
        )
        return svg(figure, label, language)
