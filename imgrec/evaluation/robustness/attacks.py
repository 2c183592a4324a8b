"""Changes of pixels that are made to fool a model, by its own gradient: FGSM and PGD.

Images are float32 `[B, H, W, C]` on the scale 0…255 that models take; distances are in those levels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgrec.evaluation.subject import Subject

if TYPE_CHECKING:
    import tensorflow as tf

Images = NDArray[np.float32]
Gradient = Callable[[Images, Any], Images]
"""Images and labels → how the loss of each image changes with its pixels, like the images."""


def gradient_of(subject: Subject) -> Gradient:
    """Return the gradient of the task's own loss, made of logits, with respect to the pixels.

    Of logits, as the loss of probabilities that have become exactly 1 has no gradient: an attack would fail,
    and the model only look robust.
    """
    import tensorflow as tf

    loss, model, targets = subject.task.loss("auto", 0.0), subject.model, subject.task.targets

    @tf.function(reduce_retracing=True)
    def of_batch(images: "tf.Tensor", labels: "tf.Tensor") -> "tf.Tensor":
        with tf.GradientTape() as tape:
            tape.watch(images)
            each = loss.call(targets(labels), model(images, training=False))
        # A model without any gradient is attacked in vain, which the unbounded attack brings to light.
        return tape.gradient(each, images, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    return lambda images, labels: of_batch(tf.constant(images, tf.float32), tf.constant(labels)).numpy()


def fgsm(gradient: Gradient, images: Images, labels: Any, epsilon: float) -> Images:
    """Return every pixel moved by `epsilon` along the sign of the gradient, within 0…255.

    Source: Goodfellow, Shlens and Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015.
    """
    moved = images + np.float32(epsilon) * np.sign(gradient(images, labels))
    return np.clip(moved, 0, 255)


@dataclass(frozen=True)
class Ball:
    """Where an attack may go: all changes of a norm of at most `radius`, and how it goes there.

    norm: `linf`, the largest change of a value, or `l2`, the root of the sum of squares of an image.
    """

    norm: str
    radius: float

    def start(self, draw: np.random.Generator, shape: tuple[int, ...]) -> Images:
        """Return changes drawn evenly from the ball."""
        if self.norm == "linf":
            return draw.uniform(-self.radius, self.radius, shape).astype(np.float32)
        values = int(np.prod(shape[1:]))
        direction = draw.standard_normal(shape)
        lengths = self.radius * draw.random((len(direction), 1, 1, 1)) ** (1 / values)
        return (direction / _lengths(direction) * lengths).astype(np.float32)

    def step(self, gradient: Images) -> Images:
        """Return the steepest change of norm 1: signs, or the gradient's direction."""
        if self.norm == "linf":
            return np.sign(gradient)
        # As a float32 the square of a small gradient is 0.
        wide = gradient.astype(np.float64)
        return (wide / np.maximum(_lengths(wide), 1e-300)).astype(np.float32)

    def inside(self, change: Images) -> Images:
        """Return the changes with those outside moved to the nearest place of the ball."""
        if self.norm == "linf":
            return np.clip(change, -self.radius, self.radius)
        return change * np.minimum(1, self.radius / np.maximum(_lengths(change), 1e-30)).astype(np.float32)


def _lengths(change: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the L2 norm of each image, `[B, 1, 1, 1]`."""
    return np.sqrt((change**2).sum(axis=(1, 2, 3), keepdims=True))


@dataclass(frozen=True)
class Descent:
    """How PGD goes: so many steps, each of `rate` radii; `seed` draws where it starts, None is the image."""

    steps: int = 20
    rate: float | None = None
    seed: int | None = 0

    @property
    def length(self) -> float:
        """The length of a step in radii; by default 2.5 / steps, so that the rim is reached from anywhere."""
        return 2.5 / self.steps if self.rate is None else self.rate


def pgd(gradient: Gradient, images: Images, labels: Any, ball: Ball, descent: Descent) -> Images:
    """Return what steps of gradient ascent inside `ball` come to, within 0…255, from a random start.

    Source: Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018.
    """
    moved = images
    if descent.seed is not None:
        draw = np.random.default_rng(descent.seed)
        moved = np.clip(images + ball.start(draw, images.shape), 0, 255).astype(np.float32)
    for _ in range(descent.steps):
        ahead = moved + np.float32(descent.length * ball.radius) * ball.step(gradient(moved, labels))
        moved = np.clip(images + ball.inside(ahead - images), 0, 255).astype(np.float32)
    return moved


def attacks_of(epsilon: float, l2: float, steps: int, seed: int) -> dict[str, Callable[..., Images]]:
    """Return the attacks of one strength by name: FGSM and PGD of `epsilon` levels, PGD of radius `l2`."""
    descent = Descent(steps, seed=seed)
    return {
        "fgsm": partial(fgsm, epsilon=epsilon),
        "pgd": partial(pgd, ball=Ball("linf", epsilon), descent=descent),
        "pgd_l2": partial(pgd, ball=Ball("l2", l2), descent=descent),
    }
