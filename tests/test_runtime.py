"""Precision is measured, not guessed."""

import keras
import pytest

from imgrec import runtime
from imgrec.errors import InputError


@pytest.fixture(autouse=True)
def float32_again() -> object:
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(("gain", "policy"), [(1.19, "float32"), (1.21, "mixed_bfloat16")])
def test_auto_follows_the_measured_gain(monkeypatch: pytest.MonkeyPatch, gain: float, policy: str) -> None:
    monkeypatch.setattr(runtime, "bfloat16_gain", lambda: gain)
    assert runtime.set_precision("auto").startswith(policy)
    assert keras.config.dtype_policy().name == policy


def test_the_gain_is_a_ratio_of_this_machine() -> None:
    assert 0.001 < runtime.bfloat16_gain() < 1000


def test_a_named_policy_is_taken() -> None:
    assert runtime.set_precision("mixed_bfloat16") == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_a_tpu_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="finds no TPU"):
        runtime.choose_strategy("tpu")
