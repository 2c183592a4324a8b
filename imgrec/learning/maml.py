"""Model-agnostic meta-learning: weights from which a few gradient steps on a few pictures lead far."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from imgrec import runtime
from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.learning.episodic import Episode, Episodic, FewShot
from imgrec.learning.session import Session
from imgrec.spec import number_option, whole_option


class Adapting(Episodic):
    """Answers for queries after gradient steps on the support, from weights that are shared by all episodes.

    Source: Finn, Abbeel and Levine, "Model-agnostic meta-learning for fast adaptation of deep networks", 2017
    (arXiv 1703.03400), equation (1) in each step, algorithm 2; its section 5.2 for the first order, which
    takes the inner gradient for a constant. The head of an episode begins at zero in every one (Kao, Chiu and
    Chen, "MAML is a noisy contrastive learner in classification", 2022, arXiv 2106.15367, section 3.3), so
    that it prefers no class, and a network of any number of classes can learn so. Batch normalisation goes by
    the batch, as in the paper.

    Args:
        model, episode, known: as `Episodic`.
        inner: how weights move within an episode.
    """

    def __init__(self, model: keras.Model, episode: Episode, known: Any, inner: "Inner") -> None:
        super().__init__(model, episode, "euclidean", known)
        self.inner = inner

    def answers(self, images: Any) -> Any:
        """Return the logits of the queries."""
        episode, shape = self.episode, images.shape[1:]
        each = episode.way * episode.images
        support, query = episode.parts(images)
        truth = ops.repeat(ops.eye(episode.way, dtype="float32"), episode.shot, axis=0)
        said, still = [], [variable.value for variable in self.features.non_trainable_variables]
        for number in range(images.shape[0] // each):
            known = ops.reshape(support[number], (-1, *shape))
            asked = ops.reshape(query[number], (-1, *shape))
            logits, still = self.inner(self.features, known, truth, asked, still)
            said.append(logits)
        for variable, value in zip(self.features.non_trainable_variables, still, strict=True):
            variable.assign(ops.stop_gradient(value))
        return ops.concatenate(said)


class Inner:
    """Gradient steps within an episode.

    Args:
        rate: their rate.
        steps: how many.
        order: 2: the outer gradient goes through the inner ones; 1: they are constants.
    """

    def __init__(self, rate: float, steps: int, order: int) -> None:
        self.rate, self.steps, self.order = rate, steps, order

    def __call__(
        self, features: keras.Model, known: Any, truth: Any, asked: Any, still: Sequence[Any]
    ) -> tuple[Any, list[Any]]:
        """Return logits float32 `[Q, way]` of `asked`, and the non-trainable values after them.

        Args:
            features: from pixels to `[B, D]`; it keeps its weights.
            known: images that are learned from, `[S, H, W, C]`.
            truth: their classes, one-hot `[S, way]`.
            asked: `[Q, H, W, C]`.
            still: values of the non-trainable variables before.
        """
        width, way = features.output.shape[-1], truth.shape[-1]
        head = [ops.zeros((width, way)), ops.zeros((way,))]
        weights = [*(variable.value for variable in features.trainable_variables), *head]
        for _ in range(self.steps):
            weights, still = self._step(features, weights, known, truth, still)
        return _logits(features, weights, asked, still)

    def _step(
        self, features: keras.Model, weights: list[Any], known: Any, truth: Any, still: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits, still = _logits(features, weights, known, still)
            loss = ops.mean(ops.categorical_crossentropy(truth, logits, from_logits=True))
        slopes = tape.gradient(loss, weights)
        if self.order == 1:
            slopes = [ops.stop_gradient(slope) for slope in slopes]
        moved = zip(weights, slopes, strict=True)
        return [weight - self.rate * ops.cast(slope, weight.dtype) for weight, slope in moved], still


def _logits(
    features: keras.Model, weights: list[Any], images: Any, still: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """Return what a network with these weights, the last two the head's, says; and its statistics then."""
    seen, after = features.stateless_call(weights[:-2], still, images, training=True)
    return ops.matmul(ops.cast(seen, "float32"), weights[-2]) + weights[-1], list(after)


class Maml(FewShot):
    """`--method "maml(way=5, shot=5)"`: weights that adapt in a few steps.

    Args:
        way, shot, query: as `FewShot`.
        order: 2, or 1, which takes a third of the time.
        inner_lr: rate of the steps within an episode.
        inner_steps: how many.

    Raises:
        InputError: a number out of its range.
    """

    def __init__(
        self,
        way: int = 5,
        shot: int = 5,
        query: int = 5,
        order: int = 2,
        inner_lr: float = 0.4,
        inner_steps: int = 2,
    ) -> None:
        super().__init__(way, shot, query)
        rate = number_option("inner_lr", inner_lr, 1e-6, 100)
        steps = whole_option("inner_steps", inner_steps, 1, 100)
        self.inner = Inner(rate, steps, whole_option("order", order, 1, 2))

    def check(self, config: Config, model: keras.Model) -> None:
        """Make sure that gradients can be taken within a step.

        Raises:
            InputError: they cannot.
        """
        if runtime.backend() != "tensorflow":
            raise InputError(
                f"--method maml: written for TensorFlow, and the backend is {runtime.backend()}: "
                "KERAS_BACKEND=tensorflow"
            )

    def part(self, session: Session, known: Any) -> Episodic:
        """Return the network that learns."""
        return Adapting(session.model, self.episode, known, self.inner)
