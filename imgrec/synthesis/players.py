"""The game: what each of the two networks minimises, one learning while the other computes."""

from typing import Any

import keras
from keras import ops

DRAWS = 2
"""Numbers that one image's `shifted` takes."""
_REACH = 1 / 8


def discriminator_hinge(real: Any, fake: Any) -> Any:
    """Return mean max(0, 1 − real) + mean max(0, 1 + fake), a scalar, of scores `[B]`.

    Source: Lim and Ye, "Geometric GAN", 2017 (arXiv 1705.02894).
    """
    return ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))


def generator_hinge(fake: Any) -> Any:
    """Return −mean fake, a scalar: what the generator minimises in the same paper."""
    return -ops.mean(fake)


def shifted(pixels: Any, draws: Any) -> Any:
    """Shift each image by up to an eighth of its side, down or up and to either side.

    So the discriminator sees all images, true and made alike, and differentiably: with few true ones it
    would know them by heart (Zhao et al., "Differentiable augmentation", 2020, arXiv 2006.10738). Of the
    paper's changes only this one: what is hidden at random shows up as holes while the discriminator is weak.

    Args:
        pixels: float32 `[B, H, W, C]`; what is shifted in is 0.
        draws: float32 `[B, 2]`, in [0, 1): how far down, and to the right.
    """
    height, width = pixels.shape[1:3]
    moved = ops.einsum("bij,bjwc->biwc", _shift(draws[:, 0], height), pixels)
    return ops.einsum("bij,bhjc->bhic", _shift(draws[:, 1], width), moved)


def _shift(draw: Any, side: int) -> Any:
    """Return float32 `[B, side, side]`: the matrix that moves entries along, a row without entry being 0."""
    reach = max(1, round(side * _REACH))
    offset = ops.cast(ops.floor(draw * (2 * reach + 1)), "int32") - reach
    source = ops.arange(side)[None, :] - offset[:, None]
    return ops.cast(ops.equal(source[:, :, None], ops.arange(side)[None, None, :]), "float32")


class _Player(keras.Model):
    """Both networks in one computation, of which only `learner` learns, through Keras's own step."""

    def __init__(self, generator: keras.Model, discriminator: keras.Model, learner: keras.Model) -> None:
        super().__init__(name=f"{learner.name}_player")
        self.generator, self.discriminator, self.learner = generator, discriminator, learner

    @property
    def trainable_variables(self) -> list[Any]:
        """Those of the learner."""
        return self.learner.trainable_variables

    @property
    def non_trainable_variables(self) -> list[Any]:
        """All others: of the learner those that are no weights, and the opponent's."""
        learned = {id(variable) for variable in self.trainable_variables}
        return [variable for variable in self.variables if id(variable) not in learned]

    trainable_weights, non_trainable_weights = trainable_variables, non_trainable_variables

    def score(self, pixels: Any, targets: Any, draws: Any, training: bool) -> Any:
        """Return the discriminator's scores of shifted images, `[B]`."""
        return self.discriminator([shifted(pixels, draws), targets], training=training)


class DiscriminatorPlayer(_Player):
    """Learns to tell true images from made ones, of the same classes.

    Inputs, a dictionary: `real` float32 `[B, H, W, C]`, `targets` `[B, num_classes]`, `noise` `[B, noise]`
    and `draws` `[2 B, 2]`.
    """

    def __init__(self, generator: keras.Model, discriminator: keras.Model) -> None:
        super().__init__(generator, discriminator, discriminator)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Return scores `[2, B]`: of the true images, and of the made ones."""
        targets = inputs["targets"]
        made = ops.stop_gradient(self.generator([inputs["noise"], targets]))
        pixels, both = ops.concatenate([inputs["real"], made]), ops.concatenate([targets, targets])
        scores = ops.reshape(self.score(pixels, both, inputs["draws"], training), (2, -1))
        self.add_loss(discriminator_hinge(scores[0], scores[1]))
        return scores


class GeneratorPlayer(_Player):
    """Learns to make images that the discriminator takes for true ones of their class.

    Inputs, a dictionary: `noise` float32 `[B, noise]`, `targets` `[B, num_classes]` and `draws` `[B, 2]`.
    """

    def __init__(self, generator: keras.Model, discriminator: keras.Model) -> None:
        super().__init__(generator, discriminator, generator)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Return the scores of what was made, `[B]`."""
        made = self.generator([inputs["noise"], inputs["targets"]], training=training)
        scores = self.score(made, inputs["targets"], inputs["draws"], training)
        self.add_loss(generator_hinge(scores))
        return scores
