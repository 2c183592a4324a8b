"""Errors under the corruptions of ImageNet-C, and the means that the field makes of them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.data.corrupt import CORRUPTIONS, corrupt
from imgrec.data.loading import load_arrays
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.evaluation.robustness.chosen import Answering, interval, resampled
from imgrec.evaluation.robustness.progress import Progress
from imgrec.metrics.intervals import wilson_interval
from imgrec.processors import cores

Wrong = NDArray[np.bool_]


def corrupted(split: Split, name: str, severity: int, seed: int) -> Split:
    """Return the split, which holds uint8 images, with every image corrupted; draws go by id."""
    images = split.images if split.images is not None else np.empty(0)

    def one(index: int) -> np.ndarray:
        return corrupt(images[index], name, severity, seed, split.ids[index])

    with ThreadPoolExecutor(cores()) as pool:
        return with_images(split, np.stack(list(pool.map(one, range(len(split))))))


def with_images(split: Split, images: np.ndarray) -> Split:
    """Return the split with these images, uint8 `[N, H, W, C]`, in the place of its own."""
    return Split(split.ids, split.labels, images)


def measure(
    answering: Sequence[Answering], split: Split, severities: Sequence[int], seed: int
) -> list[tuple[Wrong, Wrong]]:
    """Return which images each of `answering` gets wrong: clean `[N]`, and corrupted `[15, S, N]`.

    Those that prepare images in the same way are shown the same pixels; others the same draws.
    """
    clean: list[Wrong] = [np.empty(0, bool)] * len(answering)
    wrong = [np.empty((len(CORRUPTIONS), len(severities), len(split)), bool) for _ in answering]
    ways = dict.fromkeys(each.bare for each in answering)
    progress = Progress("corruptions", len(ways) * len(CORRUPTIONS) * len(severities))
    for way in ways:
        theirs = [(place, each) for place, each in enumerate(answering) if each.bare == way]
        held = prepared(split, way)
        for place, each in theirs:
            clean[place] = ~each.right(held)
        for row, name in enumerate(CORRUPTIONS):
            for column, severity in enumerate(severities):
                shown = corrupted(held, name, severity, seed)
                for place, each in theirs:
                    wrong[place][row, column] = ~each.right(shown)
                progress.step(f"{name} {severity}")
    return list(zip(clean, wrong, strict=True))


def prepared(split: Split, preprocess: Preprocess) -> Split:
    """Return the split with the pixels that `preprocess` makes, in memory."""
    return with_images(split, load_arrays(split, preprocess))


def figures(clean: Wrong, wrong: Wrong, severities: Sequence[int]) -> dict[str, Any]:
    """Return the errors by corruption and severity with their means, ready for JSON; shares of 0…1.

    `mean_error` is the plain mean over corruptions and severities: what papers call mCE on CIFAR-10-C.
    `relative_to_clean` is that over the clean error, None where no clean image is wrong. Intervals are of
    95 %: Wilson's of single errors, bootstrap over images of means.

    Args:
        clean: bool `[N]`, which images are wrong as they are.
        wrong: bool `[15, S, N]`, the same corrupted.
        severities: the S severities.
    """
    images = len(clean)
    mean = wrong.mean(axis=(0, 1))
    both = resampled(np.stack([mean, clean], axis=-1))
    ratios = both[:, 0] / np.where(both[:, 1] > 0, both[:, 1], np.nan)
    return {
        "images": images,
        "severities": list(severities),
        "clean": _cell(clean),
        "mean_error": float(mean.mean()),
        "mean_error_interval_95": interval(both[:, 0]),
        "relative_to_clean": float(mean.mean() / clean.mean()) if clean.any() else None,
        "relative_to_clean_interval_95": None if np.isnan(ratios).any() else interval(ratios),
        "by_severity": [
            {"severity": severity, "error": float(wrong[:, column].mean())}
            for column, severity in enumerate(severities)
        ],
        "by_corruption": [
            {
                "name": name,
                "group": CORRUPTIONS[name].group,
                "mean_error": float(wrong[row].mean()),
                "mean_error_interval_95": interval(resampled(wrong[row].mean(axis=0))),
                "severities": [_cell(each) for each in wrong[row]],
            }
            for row, name in enumerate(CORRUPTIONS)
        ],
    }


def _cell(wrong: Wrong) -> dict[str, Any]:
    return {"error": float(wrong.mean()), "interval_95": wilson_interval(int(wrong.sum()), len(wrong))}


def against(ours: tuple[Wrong, Wrong], theirs: tuple[Wrong, Wrong]) -> dict[str, Any]:
    """Return mCE and relative mCE of `ours` with `theirs` as the baseline, 1 where both are alike.

    mCE: the mean over corruptions of Σₛ E / Σₛ E_baseline. Relative mCE: the same of what corruption adds to
    the clean errors. None where the baseline has no error to divide by (Hendrycks and Dietterich, 2019,
    section 4). Intervals: bootstrap over images, which both answered.
    """
    sums = np.stack([wrong.mean(axis=1).T for _, wrong in (ours, theirs)], axis=1)  # [N, 2, 15]
    added = sums - np.stack([clean for clean, _ in (ours, theirs)], axis=1)[..., np.newaxis]
    found: dict[str, Any] = {}
    for name, values in (("mce", sums), ("relative_mce", added)):
        mean = values.mean(axis=0)
        if (mean[1] <= 0).any():
            found |= {name: None, f"{name}_interval_95": None}
            continue
        drawn = resampled(values)
        fair = (drawn[:, 1] > 0).all(axis=-1)
        ratios = (drawn[:, 0] / np.where(drawn[:, 1] > 0, drawn[:, 1], 1)).mean(axis=-1)
        found[name] = float((mean[0] / mean[1]).mean())
        found[f"{name}_interval_95"] = interval(ratios) if fair.all() else None
    return found


def severities_of(value: object) -> list[int]:
    """Return the severities that an option names: `3`, `[1, 3, 5]` or `1..5`; rising, each once.

    Raises:
        ValueError: it names none, or others than 1 to 5.
    """
    if isinstance(value, str):
        first, dots, last = value.partition("..")
        named = list(range(int(first), int(last) + 1)) if dots else [int(first)]
    else:
        named = list(value) if isinstance(value, (tuple, list)) else [value]  # type: ignore[list-item]
    if not named or not all(type(each) is int and 1 <= each <= 5 for each in named):
        raise ValueError(f"severities {named}")
    return sorted(set(named))
