"""Rates and decays of the families."""

from typing import get_args

import pytest

from imgrec.config.settings import Optimizer
from imgrec.errors import InputError
from imgrec.models import MODELS, info
from imgrec.models.learning import Learning, Pace

ROW = Learning(sgd=Pace(0.1, 1e-4), adamw=Pace(1e-3, 0.05), source="here")
RULES = [name for name in get_args(Optimizer) if name != "auto"]


def test_sgd_follows_the_batch_and_the_others_its_root() -> None:
    """Goyal et al.: 0.1 in 256, 0.8 in 2048, 3.2 in 8192 and not more; a quarter halves AdamW's."""
    assert [ROW.rate("sgd", n) for n in (64, 256, 2048, 8192, 65536)] == [0.025, 0.1, 0.8, 3.2, 3.2]
    assert [ROW.rate("adamw", n) for n in (16, 64, 256, 1024)] == [2.5e-4, 5e-4, 1e-3, 2e-3]


def test_other_optimizers_are_derived_from_adamw() -> None:
    """Lion and RMSprop: a tenth of the rate, ten times the decay, so that rate × decay stays."""
    assert ROW.rate("adam", 256) == ROW.rate("muon", 256) == 1e-3
    assert (ROW.rate("lion", 256), ROW.decay("lion")) == (1e-4, 0.5)
    assert (ROW.rate("rmsprop", 256), ROW.decay("rmsprop")) == (1e-4, 0.5)
    assert (ROW.decay("sgd"), ROW.decay("adamw")) == (1e-4, 0.05)


def test_unknown_optimizers_are_named() -> None:
    """An unknown optimiser is refused with the known ones."""
    with pytest.raises(InputError, match="optimizer"):
        ROW.rate("adagrad", 256)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_rate_for_every_optimizer(name: str) -> None:
    """Small steps, a decay that does not eat the weights, and a source."""
    learning = info(name).learning
    assert learning.optimizer in RULES
    assert learning.source
    for rule in RULES:
        rate = learning.rate(rule, 64)
        assert 1e-6 < rate < 0.1
        assert 0 <= rate * learning.decay(rule) < 1e-3
