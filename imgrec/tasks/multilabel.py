"""Any number of labels an image: a sigmoid for each class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from imgrec.data.sources.labels import LabelKind, worded
from imgrec.errors import InputError
from imgrec.metrics.answers import Mistake, sigmoid
from imgrec.metrics.wording import percent
from imgrec.phrases import Phrase
from imgrec.tasks.classes import ClassTask
from imgrec.tasks.task import Outputs, Tile

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from imgrec.metrics.figure import Measures

_MEANS = {"mAP": "mean_average_precision", "F1 micro": "f1_micro", "macro": "f1_macro"}


@dataclass(frozen=True)
class Multilabel(ClassTask):
    """Which of the classes an image shows, any number of them.

    Labels are 0 or 1 in float32 `[N, C]`, outputs logits `[N, C]`; a label is said where its probability, by
    a sigmoid, is above a half.
    """

    name: ClassVar[str] = "multilabel"
    labels: ClassVar[LabelKind] = "classes"
    share: ClassVar[str] = "exact match"
    score: ClassVar[str] = "f1"
    activation: ClassVar[str] = "sigmoid"
    solvable: ClassVar[bool] = True
    refuses: ClassVar[Mapping[str, str]] = {
        "imbalance": "expected one label an image, and these are multi-label: leave it out",
        "embedding loss": "expected one label an image, and these are multi-label: leave it out",
        "softmax loss": "compares the classes, and these images are multi-label: use binary_focal or so",
        "prediction sets": "hold one label an image, and these are multi-label: leave it out",
        "abstain": "withholds one answer an image, and these are multi-label: leave it out",
        "consistency": "compares softmax answers, and these images are multi-label: leave it out",
    }

    def targets(self, labels: "tf.Tensor") -> "tf.Tensor":
        """Return the labels themselves, float32 `[B, C]`."""
        import tensorflow as tf

        return tf.cast(labels, tf.float32)

    def loss(self, spec: str, label_smoothing: float) -> "keras.losses.Loss":
        """Return the loss that `spec` names, one of the binary ones; `auto` is binary cross-entropy."""
        from imgrec.losses import build_loss, is_binary

        name = "binary_cross_entropy" if spec == "auto" else spec
        if not is_binary(name):
            raise InputError(f"--loss {spec} {self.refuses['softmax loss']}")
        return build_loss(name, label_smoothing)

    def metrics(self, score: str) -> "list[keras.metrics.Metric]":
        """Return exact match and micro F1."""
        from imgrec.metrics.epoch import ExactMatch, MicroF1

        return [ExactMatch(), MicroF1()]

    def scores(self, outputs: Outputs) -> NDArray[np.float32]:
        """Return the probability of each label by itself, float32 `[N, C]`."""
        return sigmoid(self.calibrated(outputs)).astype(np.float32)

    def decode(self, scores: Outputs, top: int = 5) -> list[dict[str, Any]]:
        """Return `{"labels": […], "top": …}` of each image: those above ½, and the most probable."""
        answers = zip(super().decode(scores, top), scores > 0.5, strict=True)
        return [{"labels": list(compress(self.classes, said)), **answer} for answer, said in answers]

    def line(self, answer: Mapping[str, Any]) -> str:
        """Return the classes with their per cent, then what is said."""
        return f"{super().line(answer)}  labels: {', '.join(answer['labels']) or 'none above 50 %'}"

    def decisions(
        self, scores: Outputs, labels: np.ndarray
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
        """Return the probability of each label of each image, and whether it has it, `[N, C]`."""
        return np.asarray(scores, np.float32), np.asarray(labels > 0.5)

    def right(self, scores: Outputs, labels: np.ndarray) -> NDArray[np.bool_]:
        """Whether every label of an image is decided right."""
        return np.asarray(((scores > 0.5) == (labels > 0.5)).all(axis=1))

    def telling(self, scores: Outputs, labels: np.ndarray) -> NDArray[np.intp]:
        """Return the class that was decided wrong most surely, the most probable where all are right."""
        wrong = np.where((scores > 0.5) != (labels > 0.5), np.abs(scores - 0.5), -1)
        return np.where((wrong >= 0).any(axis=1), wrong.argmax(axis=1), scores.argmax(axis=1))

    def same(self, one: Outputs, other: Outputs) -> NDArray[np.bool_]:
        """Whether both say the same labels."""
        return np.asarray(((one > 0.5) == (other > 0.5)).all(axis=1))

    def constant(self, train_labels: np.ndarray) -> tuple[str, Outputs] | None:
        """Return the labels that most images have, all of them together."""
        rows, counts = np.unique(train_labels > 0.5, axis=0, return_counts=True)
        most = rows[int(counts.argmax())]
        return worded(most[None], self.classes)[0] or "no label", most.astype(np.float32)

    def figures(
        self, outputs: Outputs, labels: np.ndarray, train_counts: Sequence[int] | None = None
    ) -> dict[str, Any]:
        """Return what `metrics.multi_label.summarize` does."""
        from imgrec.metrics.multi_label import summarize

        return summarize(self.calibrated(outputs), labels, self.classes)

    def measures(
        self, scores: Outputs, labels: np.ndarray, validation: tuple[Outputs, np.ndarray] | None = None
    ) -> "Measures":
        """Return what `metrics.multi_measures.measure` does."""
        from imgrec.metrics.multi_measures import measure

        return measure(scores, labels, self.classes, validation)

    def marks(self, labels: np.ndarray) -> NDArray[np.bool_]:
        """Return the labels themselves."""
        return np.asarray(labels > 0.5)

    def surprise(self, scores: Outputs, labels: np.ndarray) -> NDArray[np.float64]:
        """Return the negative logarithm of the probability of what is true of a label, their mean."""
        own = np.where(labels > 0.5, scores, 1 - scores).astype(np.float64)
        return np.asarray(-np.log(np.maximum(own, np.finfo(np.float32).eps)).mean(axis=1))

    def margin(self, scores: Outputs) -> NDArray[np.float64]:
        """Return twice the distance from ½ of the label that is nearest to it."""
        return np.asarray(2 * np.abs(scores.astype(np.float64) - 0.5).min(axis=1))

    def mistakes(
        self, ids: Sequence[str], labels: np.ndarray, outputs: Outputs, count: int = 24
    ) -> list[Mistake]:
        """Return the images with a label that was decided wrong most surely."""
        from imgrec.metrics.multi_label import confident_mistakes

        return confident_mistakes(ids, labels, self.calibrated(outputs), self.classes, count)

    def table(self, ids: Sequence[str], labels: np.ndarray, outputs: Outputs) -> list[list[Any]]:
        """Return what `metrics.multi_label.predictions` does."""
        from imgrec.metrics.multi_label import predictions

        return predictions(ids, labels, self.calibrated(outputs), self.classes)

    def headline(self, figures: Mapping[str, Any]) -> str:
        """Return mAP, the means of F1, and the share of exact matches."""
        means = [f"{name} {figures[key]:.4f}" for name, key in _MEANS.items() if figures[key] is not None]
        exact = f"{figures['exact_match']:.4f} of {figures['images']:,} images"
        return f"{figures['split']} {', '.join(means)}; all labels right on {exact}"

    def lede(self, figures: Mapping[str, Any]) -> Phrase:
        """Return the share of exact matches as a sentence."""
        return Phrase(
            "has every label right on {figure} of {images:,} {split} images, which have {labels:.3g} of "
            "{classes:,} labels on average.",
            figure=percent(figures["exact_match"]),
            images=figures["images"],
            split=Phrase(figures["split"]),
            labels=figures["labels_per_image"],
            classes=len(figures["classes"]),
        )

    def tiles(self, figures: Mapping[str, Any]) -> list[Tile]:
        """Return mAP, F1, exact matches with their interval, and cross-entropy."""
        named = {
            "mean_average_precision": (Phrase("mAP"), Phrase("mean average precision over the classes")),
            "f1_micro": (Phrase("Micro F1"), Phrase("every label counts the same")),
            "f1_macro": (Phrase("Macro F1"), Phrase("every class counts the same")),
        }
        tiles: list[Tile] = [
            (name, "–" if figures[key] is None else f"{figures[key]:.3f}", note)
            for key, (name, note) in named.items()
        ]
        low, high = (percent(end) for end in figures["exact_match_interval_95"])
        interval = Phrase("every label right; 95 % interval {low} to {high}", low=low, high=high)
        tiles.append((Phrase("Exact match"), percent(figures["exact_match"]), interval))
        entropy = f"{figures['binary_cross_entropy']:.3f}"
        return [*tiles, (Phrase("Cross-entropy"), entropy, Phrase("nats a label, without smoothing"))]

    def share_right(self, figures: Mapping[str, Any]) -> float:
        """Return the share of exact matches."""
        return float(figures["exact_match"])
