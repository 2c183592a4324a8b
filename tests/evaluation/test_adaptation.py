import numpy as np
import pytest

from imgrec.evaluation.adaptation import judge


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
