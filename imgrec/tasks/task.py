"""What a model is to answer: the one object that knows what labels, outputs and figures mean.

NumPy at the top, Keras and TensorFlow inside methods, so that serving a file imports neither.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from imgrec.data.sources.labels import LabelKind
from imgrec.metrics.answers import Mistake
from imgrec.phrases import Phrase
from imgrec.tasks.calibration import KEY, Calibration

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from imgrec.metrics.figure import Measures

Outputs = NDArray[np.floating]
"""What a model says of N images, float32 `[N, outputs]`: logits, where the task is about classes."""
Tile = tuple[str, str, str]
"""A headline figure of the report: name, value, note."""


@dataclass(frozen=True)
class Task(ABC):
    """A kind of question to images, with the names of what is asked for.

    Attributes:
        classes: what each output is about, in their order; as `labels.txt` has them.
        calibration: what the run knows of its own sureness; None of one that does not say.
        name: of the task, its key in `TASKS`.
        labels: the kind of labels that it learns from.
        share: what the share of images that are `right` is called.
        score: what the best epoch is highest in, a name of `metrics`.
        activation: Keras's name of what makes `scores` of outputs, the last step of a file that ships; empty
            where there is none, and files give outputs as they are.
        solvable: whether logistic regression on features answers it (`learning.probe`).
        refuses: settings that it cannot follow, by the names of `learning.conflicts`, and what to do instead.
    """

    classes: tuple[str, ...]
    calibration: Calibration | None = None

    name: ClassVar[str]
    labels: ClassVar[LabelKind]
    share: ClassVar[str] = "accuracy"
    score: ClassVar[str]
    activation: ClassVar[str] = ""
    solvable: ClassVar[bool] = False
    refuses: ClassVar[Mapping[str, str]] = {}

    @property
    def outputs(self) -> int:
        """How many numbers a model gives for an image: the width of its head."""
        return len(self.classes)

    def record(self) -> dict[str, Any]:
        """Return what `task.json` holds, beside the classes in `labels.txt`."""
        if self.calibration is None:
            return {"format": 1, "task": self.name}
        # Versions before it would leave it out without a word, and are to refuse the file.
        return {"format": 2, "task": self.name, KEY: self.calibration.record()}

    @property
    def plain(self) -> Self:
        """The task without its calibration: outputs mean what the network says."""
        return replace(self, calibration=None)

    def calibrated(self, outputs: Outputs) -> Outputs:
        """Return outputs, `[N, outputs]`, scaled as the run's calibration says; what `scores` are made of."""
        scaling = self.calibration.scaling if self.calibration else None
        return scaling(outputs) if scaling else outputs

    def decisions(
        self, scores: Outputs, labels: np.ndarray
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
        """Return how sure each decision is, 0…1, and whether it came true; None without probabilities.

        Of one class an image both are `[N]`, of several `[N, C]`.
        """
        return None

    @abstractmethod
    def targets(self, labels: "tf.Tensor") -> "tf.Tensor":
        """Return float32 `[B, outputs]` of the labels of a batch, as `Split.labels` has them."""

    @abstractmethod
    def loss(self, spec: str, label_smoothing: float) -> "keras.losses.Loss":
        """Return the loss on (targets, outputs) that `spec` names; `auto` is the task's own.

        Raises:
            InputError: an unknown loss or option, or one that is not for this task.
        """

    @abstractmethod
    def metrics(self, score: str) -> "list[keras.metrics.Metric]":
        """Return what an epoch's line shows beside the loss; one of them is named `score`."""

    def caption(self, target: NDArray[np.floating]) -> str:
        """Return in words what an image of a batch shows; `target` is float32 `[outputs]`, mixed or not."""
        return ", ".join(f"{name} {value:.3g}" for name, value in zip(self.classes, target, strict=True))

    @abstractmethod
    def scores(self, outputs: Outputs) -> NDArray[np.float32]:
        """Return what outputs mean, float32 `[N, outputs]`: probabilities, where they are about classes."""

    @abstractmethod
    def decode(self, scores: Outputs, top: int = 5) -> list[dict[str, Any]]:
        """Return the answer for each image by its `scores`, ready for JSON; at most `top` classes."""

    @abstractmethod
    def line(self, answer: Mapping[str, Any]) -> str:
        """Return one of `decode`'s answers as text of one line; it stands behind the image's name."""

    @abstractmethod
    def right(self, scores: Outputs, labels: np.ndarray) -> NDArray[np.bool_]:
        """Return for each image whether its answer by `scores` is right, bool `[N]`."""

    @abstractmethod
    def same(self, one: Outputs, other: Outputs) -> NDArray[np.bool_]:
        """Return whether two models' `scores` give the same answer, bool `[N]`: the gate's agreement."""

    def constant(self, train_labels: np.ndarray) -> tuple[str, Outputs] | None:
        """Return the one answer that is right on most training images, in words and as its `scores` `[S]`.

        What a model has to beat; None where the task has no such answer.
        """
        return None

    @abstractmethod
    def figures(
        self, outputs: Outputs, labels: np.ndarray, train_counts: Sequence[int] | None = None
    ) -> dict[str, Any]:
        """Return every figure of the test split, ready for JSON; `images` is among them.

        Args:
            outputs: `[N, outputs]`.
            labels: of the N images, as `Split.labels` has them.
            train_counts: training images of each class.

        Raises:
            InputError: no images, shapes that do not fit, or outputs that are not finite.
        """

    def measures(
        self, scores: Outputs, labels: np.ndarray, validation: tuple[Outputs, np.ndarray] | None = None
    ) -> "Measures | None":
        """Return every figure with its interval, of `scores` `[N, outputs]`; None where the task has none.

        `validation` are scores and labels of images that may choose thresholds. Raises as `figures`.
        """
        return None

    def marks(self, labels: np.ndarray) -> NDArray[np.bool_] | None:
        """Return which outputs each image is of, bool `[N, outputs]`; None where these are no classes."""
        return None

    def surprise(self, scores: Outputs, labels: np.ndarray) -> NDArray[np.float64] | None:
        """Return how unlikely the truth was to the model, `[N]`: high is hard; None where nobody can say."""
        return None

    def margin(self, scores: Outputs) -> NDArray[np.float64] | None:
        """Return how far the answer is from being another one, `[N]` in 0…1; low is ambiguous."""
        return None

    @abstractmethod
    def mistakes(
        self, ids: Sequence[str], labels: np.ndarray, outputs: Outputs, count: int = 24
    ) -> list[Mistake]:
        """Return up to `count` wrong answers, the most telling first. Raises as `figures`."""

    @abstractmethod
    def table(self, ids: Sequence[str], labels: np.ndarray, outputs: Outputs) -> list[list[Any]]:
        """Return predictions.csv as rows, a header and one row an image. Raises as `figures`."""

    @abstractmethod
    def headline(self, figures: Mapping[str, Any]) -> str:
        """Return the figures in one line for the terminal."""

    @abstractmethod
    def lede(self, figures: Mapping[str, Any]) -> Phrase:
        """Return the report's first sentence, behind the model's name; its value `figure` is set off."""

    @abstractmethod
    def tiles(self, figures: Mapping[str, Any]) -> list[Tile]:
        """Return the headline figures of the report; in phrases they are said in the page's language."""

    @abstractmethod
    def share_right(self, figures: Mapping[str, Any]) -> float:
        """Return the share of images that are answered right, 0…1."""
