"""A task that imgrec does not know: how far a bar is turned, in degrees, from labels that are numbers."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from imgrec.metrics.answers import Mistake
from imgrec.metrics.intervals import wilson_interval
from imgrec.metrics.wording import percent
from imgrec.phrases import Phrase
from imgrec.tasks.task import Task

RIGHT, SAME = 20.0, 6.0
"""Degrees within which an answer is right, and two answers are the same."""


def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Degrees between two directions of a bar, 0 to 90."""
    return np.abs((one - other + 90) % 180 - 90)


@dataclass(frozen=True)
class Angle(Task):
    name: ClassVar = "angle"
    labels: ClassVar = "value"
    score: ClassVar = "within"
    refuses: ClassVar = {
        "flip": "a mirrored bar is turned the other way: --no-flip",
        "imbalance": "angles have no classes",
        "embedding loss": "angles have no classes",
        "consistency": "angles have no softmax",
        "softmax loss": "angles have a loss of their own: leave it out",
        "binary loss": "angles have a loss of their own: leave it out",
    }

    @property
    def outputs(self) -> int:
        return 2  # cosine and sine of twice the angle

    def targets(self, labels):
        import tensorflow as tf

        twice = tf.cast(labels, tf.float32) * (2 * np.pi / 180)
        return tf.stack([tf.cos(twice), tf.sin(twice)], axis=1)

    def loss(self, spec, label_smoothing):
        import keras

        return keras.losses.MeanSquaredError()

    def metrics(self, score):
        import keras
        from keras import ops

        def within(y_true, y_pred):
            length = ops.maximum(ops.norm(y_pred, axis=-1), 1e-6)
            return ops.sum(y_true * y_pred, axis=-1) / length > np.cos(2 * RIGHT * np.pi / 180)

        return [keras.metrics.MeanMetricWrapper(within, name="within")]

    def scores(self, outputs):
        twice = np.arctan2(outputs[:, 1].astype(np.float64), outputs[:, 0])
        return (np.degrees(twice) / 2 % 180)[:, None].astype(np.float32)

    def decode(self, scores, top=5):
        return [{"angle": round(float(angle), 1)} for (angle,) in scores]

    def line(self, answer):
        return f"turned by {answer['angle']:.1f}°"

    def right(self, scores, labels):
        return apart(scores[:, 0], labels) <= RIGHT

    def same(self, one, other):
        return apart(one[:, 0], other[:, 0]) <= SAME

    def figures(self, outputs, labels, train_counts=None):
        right = self.right(self.scores(outputs), labels)
        return {
            "split": "test",
            "images": len(labels),
            "classes": list(self.classes),
            "mean_error": float(apart(self.scores(outputs)[:, 0], labels).mean()),
            "within": float(right.mean()),
            "within_interval_95": wilson_interval(int(right.sum()), len(right)),
        }

    def mistakes(self, ids, labels, outputs, count=24):
        error = apart(self.scores(outputs)[:, 0], labels)
        worst = [i for i in np.argsort(-error, kind="stable")[:count] if error[i] > RIGHT]
        said = self.scores(outputs)[:, 0]
        return [Mistake(int(i), ids[i], f"{labels[i]:.0f}°", f"{said[i]:.0f}°", None, None) for i in worst]

    def table(self, ids, labels, outputs) -> list[list[Any]]:
        said = self.scores(outputs)[:, 0]
        rows = zip(ids, labels, said, self.right(self.scores(outputs), labels), strict=True)
        return [
            ["id", "angle", "said", "correct"],
            *([i, f"{a:g}", f"{s:.1f}", int(r)] for i, a, s, r in rows),
        ]

    def headline(self, figures):
        return f"test: {figures['within']:.4f} within {RIGHT:g}°, mean error {figures['mean_error']:.1f}°"

    def lede(self, figures):
        return Phrase(
            "is right to {bound:g}° on {figure} of {images} images.",
            bound=RIGHT,
            figure=percent(figures["within"]),
            images=figures["images"],
        )

    def tiles(self, figures):
        return [("Mean error", f"{figures['mean_error']:.1f}°", "of the bar's direction")]

    def share_right(self, figures):
        return figures["within"]
