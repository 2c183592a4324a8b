"""How a family of networks learns: the rate and decay for each optimiser, from random weights."""

from dataclasses import dataclass
from typing import NamedTuple

from imgrec.registry import lookup

BATCH = 256
"""Images a step that a family's rates are given for, as most papers have them."""
MOST = 8192
"""Larger batches take this one's rate: up to here Goyal et al. found that scaling keeps the accuracy."""


class Pace(NamedTuple):
    """A peak rate in batches of `BATCH`, and the decoupled decay that goes with it."""

    rate: float
    decay: float


RATIOS: dict[str, Pace] = {
    "adamw": Pace(1, 1),
    "adam": Pace(1, 1),
    # Momentum 0.9 adds up ten steps, where Adam takes their mean.
    "rmsprop": Pace(0.1, 10),
    # Chen et al., 2023 (arXiv 2302.06675), § 5: a rate 3 to 10 times smaller, a decay as much larger; with
    # a fifth LeNet-5 learns less on the sample.
    "lion": Pace(0.1, 10),
    # Wightman et al., 2021 (arXiv 2110.00476), table 2: LAMB 0.005 and 0.02 in batches of 2048, where DeiT's
    # AdamW has 0.001 and 0.05 in 1024; twice is enough for LeNet-5 on the sample.
    "lamb": Pace(2, 0.5),
    # Keras's Muon makes its steps as large as AdamW's (Liu et al., 2025, arXiv 2502.16982, § 2.2).
    "muon": Pace(1, 1),
}
"""Rate and decay of the optimisers that measure their steps, relative to AdamW's."""


@dataclass(frozen=True)
class Learning:
    """How a family learns from random weights; `rate` and `decay` say it for an optimiser and a batch."""

    sgd: Pace
    """For SGD with Nesterov momentum 0.9."""
    adamw: Pace
    source: str
    """Where the figures are from."""
    optimizer: str = "sgd"
    """What the family is trained with unless another is named."""

    def rate(self, optimizer: str, batch: int) -> float:
        """Return the peak rate of `optimizer`, to three digits, for `batch` images a step (1 or more).

        SGD's grows with the batch (Krizhevsky, 2014, arXiv 1404.5997, § 5; Goyal et al., 2017, arXiv
        1706.02677, § 2.1), that of the others with its root (Malladi et al., 2022, arXiv 2205.10330).

        Raises:
            InputError: an unknown optimiser.
        """
        times = min(batch, MOST) / BATCH
        rate = self.sgd.rate * times if optimizer == "sgd" else self._measured(optimizer).rate * times**0.5
        return float(f"{rate:.3g}")

    def decay(self, optimizer: str) -> float:
        """Return the decoupled weight decay of `optimizer`.

        Raises:
            InputError: an unknown optimiser.
        """
        return float(f"{(self.sgd if optimizer == 'sgd' else self._measured(optimizer)).decay:.3g}")

    def _measured(self, optimizer: str) -> Pace:
        ratio = lookup(RATIOS, optimizer, "optimizer")
        return Pace(self.adamw.rate * ratio.rate, self.adamw.decay * ratio.decay)
