"""The GAN for rare classes: losses and averages against closed forms, its networks, its players."""

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.synthesis import gan
from imgrec.synthesis.networks import discriminator, generator
from imgrec.synthesis.players import (
    DiscriminatorPlayer,
    GeneratorPlayer,
    _Player,
    discriminator_hinge,
    generator_hinge,
    shifted,
)
from imgrec.synthesis.settings import Settings

SMALL = Settings(steps=2, batch_size=8, width=8, noise=8, seed=3)
PREPROCESS = Preprocess((16, 16), "grey")


def stripes(counts: tuple[int, ...]) -> Split:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    images = np.random.default_rng(0).integers(0, 100, (len(labels), 16, 16, 1), np.uint8)
    images[labels == 0, ::4] += 130
    images[labels == 1, :, ::4] += 130
    return Split(tuple(map(str, range(len(labels)))), labels, images=images)


def test_the_hinge_losses_are_those_of_the_paper() -> None:
    real, fake = np.array([2.0, 0.5, -1.0]), np.array([-3.0, 0.25, 1.0])
    # max(0, 1 − real): 0, 0.5, 2; max(0, 1 + fake): 0, 1.25, 2.
    assert float(discriminator_hinge(real, fake)) == pytest.approx(2.5 / 3 + 3.25 / 3)
    signs = np.repeat([1.0, -1.0], 3)
    both = 2 * float(keras.losses.Hinge()(signs, np.concatenate([real, fake])))
    assert float(discriminator_hinge(real, fake)) == pytest.approx(both, rel=1e-6)
    assert float(generator_hinge(fake)) == pytest.approx(1.75 / 3)


def test_shifts_are_whole_pixels_of_the_same_picture() -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 16, 24, 3)).astype("float32")
    # Reach 2 and 3: five shifts down, seven to the right.
    draws = np.array([[0.5, 0.5], [0.0, 0.99], [0.99, 0.0], [0.3, 0.7]], "float32")
    moves = [(0, 0), (-2, 3), (2, -3), (-1, 1)]
    found = np.asarray(shifted(pixels, draws))
    padded = np.pad(pixels, [(0, 0), (2, 2), (3, 3), (0, 0)])
    for picture, result, (down, right) in zip(padded, found, moves, strict=True):
        np.testing.assert_allclose(result, picture[2 - down : 18 - down, 3 - right : 27 - right], rtol=1e-6)
    held = tf.Variable(pixels)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(shifted(held, draws))
    # Every pixel that is still seen counts once.
    gradient = tape.gradient(total, held).numpy()
    assert gradient[0].min() == 1 and gradient[1].sum() == 14 * 21 * 3


@pytest.mark.parametrize("shape", [(28, 28, 1), (30, 45, 3)])
def test_the_networks_have_the_shapes_of_the_pictures(shape: tuple[int, int, int]) -> None:
    made, judge = generator(shape, 3, 8, 8), discriminator(shape, 3, 8)
    noise, targets = np.random.default_rng(0).normal(0, 1, (5, 8)), np.eye(3)[[0, 1, 2, 0, 1]]
    pixels = np.asarray(made([noise, targets]))
    assert pixels.shape == (5, *shape) and 0 <= pixels.min() < pixels.max() <= 255
    assert judge([pixels, targets]).shape == (5,)
    # An image is its own: it does not depend on what else is made beside it.
    np.testing.assert_allclose(made([noise[:1], targets[:1]])[0], pixels[0], atol=1e-3)
    # The class is a projection: scores of all classes are spanned by those of the features alone.
    assert not np.allclose(judge([pixels, np.eye(3)[[1, 2, 0, 1, 2]]]), judge([pixels, targets]))


def test_every_weight_of_the_discriminator_has_a_spectral_norm_of_one() -> None:
    judge = discriminator((16, 16, 1), 3, 8)
    pixels, targets = np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 1)), np.eye(3)[[0, 1, 2, 0]]
    for _ in range(60):  # a step of power iteration each
        judge([pixels, targets], training=True)
    kernels = [weight for weight in judge.trainable_variables if len(weight.shape) > 1]
    assert len(kernels) == 4
    for kernel in kernels:
        matrix = np.reshape(kernel, (-1, kernel.shape[-1]))
        assert np.linalg.norm(matrix, 2) == pytest.approx(1, rel=0.03)


def test_each_player_changes_its_own_network_and_the_generator_is_averaged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compile_, step = _Player.compile, _Player.train_on_batch
    seen: list[tuple[list[np.ndarray], list[np.ndarray]]] = []

    def weights(player: _Player) -> tuple[list[np.ndarray], list[np.ndarray]]:
        return (
            [v.numpy() for v in player.generator.trainable_variables],
            [v.numpy() for v in player.discriminator.trainable_variables],
        )

    def recorded(player: _Player, *args: Any, **options: Any) -> Any:
        if not seen:
            seen.append(weights(player))
        result = step(player, *args, **options)
        seen.append(weights(player))
        return result

    # Eager: three steps are not worth the compiling.
    monkeypatch.setattr(_Player, "compile", lambda self, **o: compile_(self, **{**o, "run_eagerly": True}))
    monkeypatch.setattr(_Player, "train_on_batch", recorded)
    settings = dataclasses.replace(SMALL, steps=3, ema=0.75)
    made, again = (gan.train(stripes((20, 10, 4)), PREPROCESS, 3, settings).generator for _ in range(2))
    assert len(seen) == 13
    assert all(map(np.array_equal, made.get_weights(), again.get_weights()))
    for before, judged, played in zip(seen[0:5:2], seen[1:6:2], seen[2:7:2], strict=True):
        assert all(map(np.array_equal, before[0], judged[0]))
        assert not all(map(np.allclose, before[1], judged[1]))
        assert not all(map(np.array_equal, judged[0], played[0]))
        # Of its opponent a generator's step does no more than divide a kernel by its spectral norm.
        for old, new in zip(judged[1], played[1], strict=True):
            scale = (old * new).sum() / (old * old).sum() if old.ndim > 1 else 1.0
            np.testing.assert_allclose(new, scale * old, atol=1e-6)
    # m² w₁ + m (1 − m) w₂ + (1 − m) w₃: the average begins at what the first step left.
    steps = zip(seen[2][0], seen[4][0], seen[6][0], made.trainable_variables, strict=True)
    for first, second, third, average in steps:
        expected = 0.75**2 * first + 0.75 * 0.25 * second + 0.25 * third
        np.testing.assert_allclose(average.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_a_player_s_variables_are_its_learner_s_and_all_others() -> None:
    made, judge = generator((16, 16, 1), 2, 8, 8), discriminator((16, 16, 1), 2, 8)
    for player in (DiscriminatorPlayer(made, judge), GeneratorPlayer(made, judge)):
        assert player.trainable_variables == player.learner.trainable_variables
        split = [id(v) for v in player.trainable_variables + player.non_trainable_variables]
        assert sorted(split) == sorted(id(v) for v in made.variables + judge.variables)


def test_a_picture_is_a_function_of_seed_class_and_number() -> None:
    keras.utils.set_random_seed(0)
    made = generator((16, 16, 1), 3, 8, 8)
    pictures = gan.images(made, 1, 5, seed=7)
    assert pictures.shape == (5, 16, 16, 1) and pictures.dtype == np.uint8
    assert np.array_equal(gan.images(made, 1, 3, seed=7), pictures[:3])
    assert not np.array_equal(gan.images(made, 2, 5, seed=7), pictures)
    assert not np.array_equal(gan.images(made, 1, 5, seed=8), pictures)


def test_what_cannot_be_trained_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    split = stripes((4, 4))
    with pytest.raises(InputError, match=r"images of 80 × 80: the generator makes 16 to 64 pixels"):
        gan.train(split, Preprocess((80, 80), "grey"), 2, SMALL)
    with pytest.raises(InputError, match=r"--steps 0, --batch-size 8: expected 1 or more"):
        gan.train(split, PREPROCESS, 2, dataclasses.replace(SMALL, steps=0))
    progress = gan._Progress(40)
    progress(1, 2.0, 0.5)
    progress(2, 1.0, 0.0)
    assert progress.rows == [{"step": 2, "discriminator": 1.5, "generator": 0.25}]
    assert capsys.readouterr().out.startswith("step 2/40  discriminator 1.500  generator +0.250")
    with pytest.raises(InputError, match=r"step 3: the losses became nan and 0\.1: lower --learning-rate"):
        progress(3, float("nan"), 0.1)
