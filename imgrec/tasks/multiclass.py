"""One class an image: a softmax over the classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from imgrec.data.sources.labels import LabelKind
from imgrec.metrics.answers import Mistake, softmax
from imgrec.metrics.wording import percent
from imgrec.phrases import Phrase
from imgrec.tasks import calibration
from imgrec.tasks.classes import ClassTask
from imgrec.tasks.task import Outputs, Tile

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from imgrec.metrics.figure import Measures


@dataclass(frozen=True)
class Multiclass(ClassTask):
    """Which of the classes an image shows; labels int32 `[N]`, outputs logits `[N, C]`."""

    name: ClassVar[str] = "multiclass"
    labels: ClassVar[LabelKind] = "class"
    score: ClassVar[str] = "accuracy"
    activation: ClassVar[str] = "softmax"
    solvable: ClassVar[bool] = True

    def targets(self, labels: "tf.Tensor") -> "tf.Tensor":
        """Return one-hot float32 `[B, C]` of labels int32 `[B]`."""
        import tensorflow as tf

        return tf.one_hot(labels, self.outputs)

    def loss(self, spec: str, label_smoothing: float) -> "keras.losses.Loss":
        """Return the loss that `spec` names, cross-entropy for `auto`; binary ones take each class alone."""
        from imgrec.losses import build_loss

        return build_loss("cross_entropy" if spec == "auto" else spec, label_smoothing)

    def metrics(self, score: str) -> "list[keras.metrics.Metric]":
        """Return accuracy, and balanced accuracy where that is the score."""
        import keras

        from imgrec.metrics.epoch import BalancedAccuracy

        balanced = [BalancedAccuracy(self.outputs)] if score == "balanced_accuracy" else []
        return [keras.metrics.CategoricalAccuracy(name="accuracy"), *balanced]

    def scores(self, outputs: Outputs) -> NDArray[np.float32]:
        """Return probabilities, float32 `[N, C]`, that sum to 1."""
        return softmax(self.calibrated(outputs)).astype(np.float32)

    def decode(self, scores: Outputs, top: int = 5) -> list[dict[str, Any]]:
        """Return `{"label", "probability", "top": …}` of each image, `top` as for all classes.

        A run with prediction sets adds `set` and `coverage`, one that abstains `abstained`.
        """
        answers = [{**answer["top"][0], **answer} for answer in super().decode(scores, top)]
        if self.calibration is None:
            return answers
        told = self.calibration.told(scores, self.classes)
        return [{**answer, **more} for answer, more in zip(answers, told, strict=True)]

    def line(self, answer: Mapping[str, Any]) -> str:
        """Return the classes with their per cent, then the prediction set and whether it abstains."""
        return super().line(answer) + calibration.line(answer)

    def decisions(
        self, scores: Outputs, labels: np.ndarray
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
        """Return the probability of each image's answer, and whether it is right, `[N]`."""
        return scores.max(axis=1), self.right(scores, labels)

    def right(self, scores: Outputs, labels: np.ndarray) -> NDArray[np.bool_]:
        """Whether the most probable class is the label; of equal ones the first counts."""
        return np.asarray(scores.argmax(axis=1) == labels)

    def same(self, one: Outputs, other: Outputs) -> NDArray[np.bool_]:
        """Whether both name the same class."""
        return np.asarray(one.argmax(axis=1) == other.argmax(axis=1))

    def constant(self, train_labels: np.ndarray) -> tuple[str, Outputs] | None:
        """Return the largest class."""
        largest = int(np.bincount(train_labels, minlength=self.outputs).argmax())
        return self.classes[largest], np.eye(self.outputs, dtype=np.float32)[largest]

    def figures(
        self, outputs: Outputs, labels: np.ndarray, train_counts: Sequence[int] | None = None
    ) -> dict[str, Any]:
        """Return what `metrics.single_label.summarize` does."""
        from imgrec.metrics.single_label import summarize

        return summarize(self.calibrated(outputs), labels, self.classes, train_counts=train_counts)

    def measures(
        self, scores: Outputs, labels: np.ndarray, validation: tuple[Outputs, np.ndarray] | None = None
    ) -> "Measures | None":
        """Return what `metrics.single_measures.measure` does; None of one class alone."""
        from imgrec.metrics.single_measures import measure

        return None if self.outputs < 2 else measure(scores, labels, self.classes)

    def marks(self, labels: np.ndarray) -> NDArray[np.bool_] | None:
        """Return one mark an image; None of one class."""
        return None if self.outputs < 2 else np.asarray(labels[:, None] == np.arange(self.outputs))

    def surprise(self, scores: Outputs, labels: np.ndarray) -> NDArray[np.float64]:
        """Return the negative logarithm of the true class's probability."""
        own = scores[np.arange(len(labels)), labels].astype(np.float64)
        return np.asarray(-np.log(np.maximum(own, np.finfo(np.float64).tiny)))

    def margin(self, scores: Outputs) -> NDArray[np.float64]:
        """Return the first probability less the second."""
        first = np.sort(scores.astype(np.float64), axis=1)[:, -2:]
        return np.asarray(first[:, -1] - first[:, 0])

    def mistakes(
        self, ids: Sequence[str], labels: np.ndarray, outputs: Outputs, count: int = 24
    ) -> list[Mistake]:
        """Return the wrong answers that were given most surely."""
        from imgrec.metrics.single_label import confident_mistakes

        return confident_mistakes(ids, labels, self.calibrated(outputs), self.classes, count)

    def table(self, ids: Sequence[str], labels: np.ndarray, outputs: Outputs) -> list[list[Any]]:
        """Return what `metrics.single_label.predictions` does."""
        from imgrec.metrics.single_label import predictions

        return predictions(ids, labels, self.calibrated(outputs), self.classes)

    def headline(self, figures: Mapping[str, Any]) -> str:
        """Return accuracy and macro F1, and of imbalanced classes what head and tail have."""
        line = (
            f"{figures['split']} accuracy {figures['accuracy']:.4f} on {figures['images']:,} images, "
            f"macro F1 {figures['f1_macro']:.4f}"
        )
        if "by_frequency" not in figures:
            return line
        shown = [row for row in figures["by_frequency"] if row["accuracy"] is not None]
        groups = [f"{row['group']} {row['accuracy']:.4f}" for row in shown]
        return f"{line}\nbalanced accuracy {figures['balanced_accuracy']:.4f}: {', '.join(groups)}"

    def lede(self, figures: Mapping[str, Any]) -> Phrase:
        """Return the accuracy as a sentence."""
        return Phrase(
            "recognises {figure} of {images:,} {split} images in {classes:,} classes.",
            figure=percent(figures["accuracy"]),
            images=figures["images"],
            split=Phrase(figures["split"]),
            classes=len(figures["classes"]),
        )

    def tiles(self, figures: Mapping[str, Any]) -> list[Tile]:
        """Return accuracy with its interval, and what else there is."""
        low, high = (percent(end) for end in figures["accuracy_interval_95"])
        interval = Phrase("95 % interval {low} to {high}", low=low, high=high)
        tiles: list[Tile] = [(Phrase("Accuracy"), percent(figures["accuracy"]), interval)]
        if figures.get("auc") is not None:
            area = Phrase("area under the ROC curve")
            tiles.append((Phrase("AUC"), f"{figures['auc']:.3f}", area))
        if figures["top_k"] < len(figures["classes"]):
            among = Phrase("true class among the first {k}", k=figures["top_k"])
            named = Phrase("Top-{k}", k=figures["top_k"])
            tiles.append((named, percent(figures["top_k_accuracy"]), among))
        if figures.get("balanced_accuracy") is not None:
            balanced = percent(figures["balanced_accuracy"])
            tiles.append((Phrase("Balanced accuracy"), balanced, Phrase("mean over the classes")))
        error = percent(figures["expected_calibration_error"])
        return [
            *tiles,
            (Phrase("Macro F1"), f"{figures['f1_macro']:.3f}", Phrase("every class counts the same")),
            (Phrase("Calibration error"), error, Phrase("sureness against hit rate")),
            (
                Phrase("Cross-entropy"),
                f"{figures['cross_entropy']:.3f}",
                Phrase("nats an image, without smoothing"),
            ),
        ]

    def share_right(self, figures: Mapping[str, Any]) -> float:
        """Return the accuracy."""
        return float(figures["accuracy"])
