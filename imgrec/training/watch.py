"""A training that learns nothing, explodes, or cannot be judged: said while it trains, with a likely cure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from imgrec.metrics.wording import percent
from imgrec.training.callbacks import Remembering

FEW = 30
"""Validation images below which the best epoch is mostly luck: one accuracy is known to ± 18 points."""
BURST, FAR = 100.0, 10.0
"""The loss has exploded at this many times that of a constant answer: within an epoch, at its end."""
EPOCHS, STEPS = 3, 60
"""At least this much training comes before a model is said to learn nothing."""
NO_BETTER = 0.98
"""A loss from this share of a constant answer's on is no better."""


class GoneWrong(Exception):
    """A training that leads nowhere, and may begin anew with a lower rate."""


@dataclass(frozen=True)
class Constant:
    """What the same answer for every image reaches."""

    name: str
    """The largest class."""
    loss: float
    """The least that training can have by it."""
    shares: tuple[float, float]
    """The largest class's share of the training and of the validation images."""
    images: tuple[int, int]
    """How many those are."""

    @classmethod
    def of(
        cls, loss: keras.losses.Loss, train: np.ndarray, validation: np.ndarray, classes: Sequence[str]
    ) -> "Constant":
        """Find it for `loss` on logits, with images of each class in training and validation, int `[C]`."""
        largest, images = int(train.argmax()), (int(train.sum()), int(validation.sum()))
        shares = (float(train.max() / images[0]), float(validation.max() / max(images[1], 1)))
        even, often = np.full(len(train), 1 / len(train)), train / images[0]
        # Somewhere between the frequencies and no opinion, for the loss may smooth its targets.
        mixed = [(1 - part) * often + part * even for part in (0.001, 0.05, 0.1, 0.2, 0.5)]
        return cls(classes[largest], min(_mean(loss, often, answer) for answer in mixed), shares, images)

    def is_reached(self, logs: Mapping[str, float]) -> bool:
        """Whether the figures of an epoch are within chance of a constant answer's."""
        told = (logs.get("accuracy", 1.0), logs.get("val_accuracy", 1.0))
        for share, images, accuracy in zip(self.shares, self.images, told, strict=True):
            if accuracy > share + 2 * math.sqrt(share * (1 - share) / max(images, 1)):
                return False
        return all(logs[name] >= NO_BETTER * self.loss for name in ("loss", "val_loss") if name in logs)


def _mean(loss: keras.losses.Loss, often: np.ndarray, answer: np.ndarray, block: int = 256) -> float:
    """Return the mean loss of one answer, as probabilities float `[C]`, where classes come as `often`."""
    total = 0.0
    for first in range(0, len(often), block):
        targets = np.eye(len(often), dtype="float32")[first : first + block]
        logits = np.tile(np.log(answer).astype("float32"), (len(targets), 1))
        each = np.asarray(keras.ops.convert_to_numpy(loss.call(targets, logits)))
        total += float((each * often[first : first + block]).sum())
    return total


class Watch(Remembering):
    """Looks at the loss of every step and the figures of every epoch; stands before those who save.

    Args:
        constant: what the same answer for every image reaches; None where that is no question.
        validation: images that the best epoch is chosen by.
        epochs: of the training.
        warmup: epochs of it in which the rate rises.
    """

    remembered = ("first", "epochs", "steps", "said")

    def __init__(self, constant: Constant | None, validation: int, epochs: int, warmup: float = 0.0) -> None:
        super().__init__()
        self.constant, self.validation, self.all = constant, validation, epochs
        self.least = max(EPOCHS, math.ceil(warmup) + 2)
        self.first = 0.0
        self.epochs = self.steps = 0
        self.said: list[str] = []
        self.rate, self.retry = 0.0, False
        """The peak of the learning rate, and whether to leave a training that leads nowhere."""

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Say at once where there is too little to choose by."""
        if self.validation < FEW and self.all > 1 and self._new("few"):
            points = 98 / math.sqrt(max(self.validation, 1))
            print(
                f"note: {self.validation} validation images choose the best epoch: their accuracy is known "
                f"to ± {points:.0f} points, so that choice is mostly luck; more images would mend it",
                flush=True,
            )

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Note the first loss, and compare the mean of the epoch so far with it."""
        loss = float((logs or {}).get("loss", 0.0))
        self.first = self.first or loss
        self.steps += 1
        if loss > BURST * self._usual():
            self._exploded(loss)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Look at an epoch that had steps."""
        logs = logs or {}
        if not self.steps:
            return
        self.epochs += 1
        if logs.get("loss", 0.0) > FAR * self._usual():
            self._exploded(logs["loss"])
        elif self.constant and self._is_time() and self.constant.is_reached(logs) and self._new("nothing"):
            self._report(self._nothing(self.constant, epoch, logs), "or let --lr-find suggest one")

    def _is_time(self) -> bool:
        """Whether there was training enough to learn something."""
        return self.epochs >= self.least and self.steps >= STEPS

    def _usual(self) -> float:
        """A loss that a training begins with."""
        return max(self.first, self.constant.loss if self.constant else math.log(2))

    def _exploded(self, loss: float) -> None:
        if self._new("exploded"):
            said = f"the loss exploded to {loss:.2g}, where it began at {self.first:.2g}"
            self._report(said, "or lengthen --warmup-epochs")

    def _nothing(self, constant: Constant, epoch: int, logs: Mapping[str, float]) -> str:
        return (
            f"after {epoch + 1} epochs nothing is learned: {percent(logs['val_accuracy'])} of the validation "
            f"images are right, and {constant.name!r} for all of them is {percent(constant.shares[1])}"
        )

    def _report(self, said: str, other: str) -> None:
        """Leave the training where it may begin anew, else say what would help."""
        if self.retry:
            raise GoneWrong(said)
        lower = float(f"{self.rate / 4:.2g}")
        print(
            f"\nwarning: {said}: lower --learning-rate from {self.rate:g} to {lower:g}, {other}", flush=True
        )

    def _new(self, what: str) -> bool:
        """Whether something was not said before."""
        if what in self.said:
            return False
        self.said.append(what)
        return True
