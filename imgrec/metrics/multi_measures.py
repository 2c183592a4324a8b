"""Every figure of multi-label answers, with its interval, also at thresholds that validation images chose."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, hamming_loss, precision_recall_fscore_support

from imgrec.metrics import bootstrap
from imgrec.metrics.answers import check_answers
from imgrec.metrics.classwise import areas_of, macro_areas, one_sided, rows_of
from imgrec.metrics.counted import Counts, count
from imgrec.metrics.figure import Figure, Gap, Measures, Threshold, drawn, few_of, mean, share

_MEANS = ("precision", "recall", "f1")
_LEAST_IN_VALIDATION = 10
"""Images with a label and images without it, from which on its threshold is tuned."""


def measure(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.floating],
    classes: Sequence[str],
    validation: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None,
) -> Measures:
    """Return every figure of answers to multi-label images, with its 95 % interval or why there is none.

    A label is said above ½; `f1_macro_tuned` and `f1_micro_tuned` are of thresholds that were chosen on
    validation images, never on these. Means over classes are over those that have images.

    Args:
        probabilities: `[N, C]`, of each label by itself.
        labels: `[N, C]`, 0 or 1.
        classes: C names.
        validation: probabilities and labels of the images that choose thresholds.

    Raises:
        InputError: no images, shapes that do not fit, or NaN.
    """
    check_answers(probabilities, labels, classes)
    images, size = probabilities.shape
    weights = bootstrap.draws(images, size)
    truth = labels > 0.5
    said, one = probabilities > 0.5, np.ones((images, 1), np.float32)
    counts, support = count(truth, said, weights), truth.sum(axis=0)
    areas = areas_of(probabilities, truth, weights)
    thresholds = [] if validation is None else tune(*validation, classes)
    overall = {
        **_exact(truth, said, weights),
        **_means(truth, said, counts),
        **_tuned(truth, probabilities, thresholds, weights),
        **macro_areas(areas, support, images),
        **_losses(probabilities, truth, weights),
    }
    f1 = f1_score(truth, said, average=None, zero_division=0)
    rows = [
        row | area
        for row, area in zip(rows_of(counts, count(truth, said, one), f1, images), areas.figures, strict=True)
    ]
    draws = weights.shape[1]
    return Measures(overall, rows, list(classes), support.tolist(), images, draws, thresholds)


def _exact(
    truth: NDArray[np.bool_], said: NDArray[np.bool_], weights: NDArray[np.floating]
) -> dict[str, Figure]:
    images = len(truth)
    right = (truth == said).all(axis=1)
    wrong = (truth != said).mean(axis=1)
    gap = _few_decisions(truth, said)
    loss = drawn(hamming_loss(truth, said), bootstrap.means(wrong, weights), images, gap=gap)
    return {
        "exact_match": share(int(right.sum()), images, bootstrap.means(right, weights)),
        "hamming_loss": loss,
    }


def _means(truth: NDArray[np.bool_], said: NDArray[np.bool_], counts: Counts) -> dict[str, Figure]:
    """Return precision, recall and F1 over all decisions, and their means over the classes."""
    images, there = len(truth), truth.any(axis=0)
    gap = _few_decisions(truth, said)
    classes_gap = few_of(truth.sum(axis=0), images) or gap
    figures: dict[str, Figure] = {}
    totals = Counts(*(side.sum(axis=0, keepdims=True) for side in counts))
    for average in ("micro", "macro", "weighted"):
        shown = slice(None) if average == "micro" else there
        if not there.any():
            figures |= {f"{name}_{average}": Figure(None, gap=Gap("no images")) for name in _MEANS}
            continue
        values = precision_recall_fscore_support(
            truth[:, shown], said[:, shown], average=average, zero_division=0
        )[:3]
        for name, value in zip(_MEANS, values, strict=True):
            rows = getattr(totals if average == "micro" else counts, name)
            if average == "micro":
                samples = rows[0]
            elif average == "macro":
                samples = mean(rows)
            else:
                samples = (np.nan_to_num(rows) * counts.support).sum(axis=0) / counts.support.sum(axis=0)
            missing = classes_gap if average == "macro" else gap
            figures[f"{name}_{average}"] = drawn(value, samples, images, gap=missing)
    return figures


def _few_decisions(truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> Gap | None:
    """Return the gap of figures of decisions: too few images have a wrong one, or too few a right label."""
    wrong = int((truth != said).any(axis=1).sum())
    if wrong < bootstrap.LEAST:
        return Gap("few wrong", wrong)
    right = int((truth & said).any(axis=1).sum())
    return Gap("few right", right) if right < bootstrap.LEAST else None


def _tuned(
    truth: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    thresholds: Sequence[Threshold],
    weights: NDArray[np.floating],
) -> dict[str, Figure]:
    """Return F1 at the thresholds that validation images chose; a gap where they chose none."""
    names = ("f1_micro", "f1_macro")
    if not any(each.value is not None for each in thresholds):
        return {f"{name}_tuned": Figure(None, gap=Gap("not tuned")) for name in names}
    said = probabilities > np.array([each.used for each in thresholds])
    means = _means(truth, said, count(truth, said, weights))
    return {f"{name}_tuned": means[name] for name in names}


def _losses(
    probabilities: NDArray[np.floating], truth: NDArray[np.bool_], weights: NDArray[np.floating]
) -> dict[str, Figure]:
    """Return log loss and Brier score, means over all decisions."""
    images = len(truth)
    gap = _few_decisions(truth, probabilities > 0.5)
    floor = float(np.finfo(probabilities.dtype).eps)
    own = np.where(truth, probabilities, 1 - probabilities).astype(np.float64)
    surprise = -np.log(np.clip(own, floor, 1 - floor)).mean(axis=1)
    distance = ((1 - own) ** 2).mean(axis=1)
    return {
        "log_loss": drawn(surprise.mean(), bootstrap.means(surprise, weights), images, (0.0, np.inf), gap),
        "brier": drawn(distance.mean(), bootstrap.means(distance, weights), images, gap=gap),
    }


def tune(
    probabilities: NDArray[np.floating], labels: NDArray[np.floating], classes: Sequence[str]
) -> list[Threshold]:
    """Return for each class the threshold of the highest F1 on these images, halfway to the next score below.

    Of equal F1 the one nearest to ½. With fewer than ten images with the label or without it none is tuned:
    the best of so few is luck.

    Args:
        probabilities: `[N, C]`.
        labels: `[N, C]`, 0 or 1.
        classes: C names.

    Raises:
        InputError: as `measure`.
    """
    check_answers(probabilities, labels, classes)
    images = len(labels)
    truth = labels > 0.5
    weights = bootstrap.draws(images, len(classes), most=bootstrap.FEWEST)
    whole = np.ones((images, 1), np.float32)
    found = []
    for k, name in enumerate(classes):
        positives = int(truth[:, k].sum())
        least = min(positives, images - positives)
        if least < _LEAST_IN_VALIDATION:
            gap = one_sided(positives, images) or Gap("few images", least)
            found.append(Threshold(name, None, gap=gap))
            continue
        best = _best(probabilities[:, k], truth[:, k], whole)[0]
        spread = bootstrap.percentiles(_best(probabilities[:, k], truth[:, k], weights))
        found.append(Threshold(name, float(best), spread))
    return found


def _best(
    scores: NDArray[np.floating], positive: NDArray[np.bool_], weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the threshold of the highest F1 in each column of weights, `[B]`."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype(np.float64)
    last = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))
    below = np.append(ranked[last[:-1] + 1], 0.0)
    levels = (ranked[last] + below) / 2  # halfway, so that no rounding of scores decides
    drawn_in = weights[order]
    said = np.cumsum(drawn_in, axis=0)[last]
    right = np.cumsum(drawn_in * positive[order][:, None], axis=0)[last]
    f1 = 2 * right / (said + right[-1])
    near = 1e-9 * np.abs(levels - 0.5)[:, None]
    return levels[np.argmax(f1 - near, axis=0)]
