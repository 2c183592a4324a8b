"""Figures of how scores separate, against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from imgrec.metrics.separation import separation


def test_figures_are_scikit_learns() -> None:
    draw = np.random.default_rng(0)
    known, unknown = draw.normal(size=300), draw.normal(1.5, 1, size=200)
    found = separation(known, unknown)
    truth, values = np.arange(500) >= 300, np.concatenate([known, unknown])
    assert found.auroc == roc_auc_score(truth, values)
    assert found.aupr == average_precision_score(truth, values)
    assert found.share == pytest.approx(0.4)
    # Known ones as the positive, by the negated score: unknown ones that pass where 95 % of those do.
    false, true, _ = roc_curve(~truth, -values, drop_intermediate=False)
    assert found.fpr95 == pytest.approx(false[np.argmax(true >= 0.95)])
    assert found.auroc_95 is not None and found.auroc_95[0] < found.auroc < found.auroc_95[1]
    # The interval against Hanley and McNeil's standard error of an AUROC (Radiology 143, 1982).
    auc = found.auroc
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    error = np.sqrt((auc * (1 - auc) + 199 * (q1 - auc**2) + 299 * (q2 - auc**2)) / (300 * 200))
    assert np.diff(found.auroc_95)[0] == pytest.approx(2 * 1.96 * error, rel=0.25)


def test_few_images_have_no_interval_and_equal_scores_guess() -> None:
    few = separation(np.arange(9.0), np.arange(20.0, 50.0))
    assert few.auroc == 1 and few.fpr95 == 0 and few.auroc_95 is None and few.record()["fpr95_95"] is None
    alike = separation(np.zeros(40), np.zeros(40))
    assert alike.auroc == 0.5 and alike.fpr95 == 1
