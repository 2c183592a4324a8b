import numpy as np
import pytest

from imgrec.evaluation.adaptation import judge, sign_test


def test_sign_test_is_the_binomials():
    # scipy.stats.binomtest(k, n).pvalue
    assert sign_test(0, 0) == 1.0
    assert sign_test(5, 0) == pytest.approx(0.0625)
    assert sign_test(9, 1) == pytest.approx(0.021484375)
    assert sign_test(3, 10) == pytest.approx(0.09228515625)
    assert sign_test(4, 4) == 1.0
    assert sign_test(2000, 1000) < 1e-70


def test_counts_and_shares_by_hand():
    on = np.array([1, 1, 1, 0, 1, 0], bool)
    off = np.array([1, 0, 0, 1, 1, 0], bool)
    fired = [(), ("lowlight",), ("lowlight", "dehaze"), ("dehaze",), (), ()]
    judged = judge(on, off, fired)
    assert judged["all"] == {"images": 6, "accuracy": 4 / 6, "accuracy_off": 3 / 6}
    assert judged["triggered"] == {"images": 3, "accuracy": 2 / 3, "accuracy_off": 1 / 3}
    assert judged["steps"] == [
        {"name": "dehaze", "images": 2, "accuracy": 0.5, "accuracy_off": 0.5},
        {"name": "lowlight", "images": 2, "accuracy": 1.0, "accuracy_off": 0.0},
    ]
    assert (judged["gained"], judged["lost"], judged["p_value"]) == (2, 1, 1.0)
    assert "No difference" in judged["verdict"]


def test_the_verdict_says_which_way():
    yes, no, fired = np.ones(20, bool), np.zeros(20, bool), [("stretch",)] * 20
    assert "raise the accuracy: 20" in judge(yes, no, fired)["verdict"]
    assert "lower the accuracy: 0" in judge(no, yes, fired)["verdict"]
    quiet = judge(yes, yes, [()] * 20)
    assert "changed no answer" in quiet["verdict"]
    assert quiet["triggered"] == {"images": 0, "accuracy": None, "accuracy_off": None}
    with pytest.raises(ValueError, match="triggers of 19"):
        judge(yes, no, fired[1:])
