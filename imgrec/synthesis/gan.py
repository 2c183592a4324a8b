"""Training the pair, and images from what it learned.

`training/fit.py` is for recognisers: it keeps the epoch of the best accuracy on validation, and here there is
neither an accuracy nor an epoch that is best, but two losses that pull against each other. So the steps stand
here; each is Keras's own.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from imgrec import runtime
from imgrec.config import AugmentConfig
from imgrec.data.pipeline import Feed, training_dataset
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Split
from imgrec.errors import InputError
from imgrec.synthesis.networks import LARGEST, SMALLEST, discriminator, generator
from imgrec.synthesis.players import DRAWS, DiscriminatorPlayer, GeneratorPlayer
from imgrec.synthesis.settings import Settings

SHOWN = 20
"""Lines of progress of a training, and rows of losses that it leaves."""


@dataclass(frozen=True)
class Trained:
    """The generator with its averaged weights, and the way there.

    losses: `SHOWN` rows or fewer, `{"step", "discriminator", "generator"}`, means since the row before.
    """

    generator: keras.Model
    losses: list[dict[str, float]]
    seconds: float


def train(split: Split, preprocess: Preprocess, num_classes: int, settings: Settings) -> Trained:
    """Train a pair on all classes of `split`, one step of each in turn; a pure function of its arguments.

    Raises:
        InputError: images too small or too large, settings out of range, or a loss that is not finite.
    """
    _check(preprocess, settings)
    keras.utils.set_random_seed(settings.seed)
    made = generator(preprocess.shape, num_classes, settings.width, settings.noise)
    judge = discriminator(preprocess.shape, num_classes, settings.width)
    players = DiscriminatorPlayer(made, judge), GeneratorPlayer(made, judge)
    rates = settings.discriminator_rate, settings.generator_rate
    for player, rate in zip(players, rates, strict=True):
        # No momentum, as in the papers on spectral normalisation and its successors.
        average = {"use_ema": True, "ema_momentum": settings.ema} if player.learner is made else {}
        adam = keras.optimizers.Adam(rate, beta_1=0.0, beta_2=0.99, **average)
        player.compile(optimizer=adam, jit_compile=runtime.wants_jit())
    begun, progress = time.perf_counter(), _Progress(settings.steps)
    for step, batches in enumerate(_batches(split, preprocess, num_classes, settings), start=1):
        losses = []
        for player, batch in zip(players, batches, strict=True):
            player.reset_metrics()
            losses.append(float(player.train_on_batch(batch, return_dict=True)["loss"]))
        progress(step, *losses)
    players[1].optimizer.finalize_variable_values(made.trainable_variables)
    return Trained(made, progress.rows, round(time.perf_counter() - begun, 1))


def _check(preprocess: Preprocess, settings: Settings) -> None:
    sides = preprocess.size
    if min(sides) < SMALLEST or max(sides) > LARGEST:
        raise InputError(
            f"images of {sides[0]} × {sides[1]}: the generator makes {SMALLEST} to {LARGEST} pixels a "
            "side; set --image-size"
        )
    if settings.steps < 1 or settings.batch_size < 1:
        raise InputError(
            f"--steps {settings.steps}, --batch-size {settings.batch_size}: expected 1 or more of each"
        )


def _batches(
    split: Split, preprocess: Preprocess, num_classes: int, settings: Settings
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What either player is given, step by step; the noise is a function of (seed, step)."""
    feed = Feed(
        preprocess,
        lambda labels: tf.one_hot(labels, num_classes),
        AugmentConfig(crop="none", flip=settings.flip),
        settings.batch_size,
        settings.seed,
        settings.sampling,
    )
    count = min(settings.batch_size, feed.order(split.labels).size)
    images = training_dataset(split, feed, steps=settings.steps)
    for step, (real, targets) in enumerate(images):
        draw = np.random.default_rng([settings.seed, step])
        noise = draw.standard_normal((2, count, settings.noise), np.float32)
        chances = draw.random((3 * count, DRAWS), np.float32)
        yield (
            {"real": real, "targets": targets, "noise": noise[0], "draws": chances[: 2 * count]},
            {"noise": noise[1], "targets": targets, "draws": chances[2 * count :]},
        )


class _Progress:
    """Prints a line every twentieth of the way, and stops where a loss is no number."""

    def __init__(self, steps: int) -> None:
        self.steps, self.every = steps, math.ceil(steps / SHOWN)
        self.rows: list[dict[str, float]] = []
        self._since: list[tuple[float, float]] = []
        self._begun = time.perf_counter()

    def __call__(self, step: int, discriminator_loss: float, generator_loss: float) -> None:
        if not math.isfinite(discriminator_loss) or not math.isfinite(generator_loss):
            raise InputError(
                f"step {step}: the losses became {discriminator_loss} and {generator_loss}: lower "
                "--learning-rate"
            )
        if step == 1:
            self._begun = time.perf_counter()  # without the time that compiling takes
        self._since.append((discriminator_loss, generator_loss))
        if step % self.every and step != self.steps:
            return
        means = np.mean(self._since, axis=0).tolist()
        self._since = []
        self.rows.append({"step": step, "discriminator": means[0], "generator": means[1]})
        rate = (step - 1) / max(time.perf_counter() - self._begun, 1e-9)
        left = int((self.steps - step) / rate) if rate else 0
        print(
            f"step {step:,}/{self.steps:,}  discriminator {means[0]:.3f}  generator {means[1]:+.3f}  "
            f"{rate:.1f} steps/s  {left // 60}:{left % 60:02d} left",
            flush=True,
        )


def images(made: keras.Model, label: int, count: int, seed: int) -> np.ndarray:
    """Return images of a class, uint8 `[count, H, W, C]`: the n-th is a function of (seed, label, n)."""
    size, num_classes = (given.shape[-1] for given in made.inputs)
    noise = np.random.default_rng([seed, 1 << 32, label]).standard_normal((count, size), np.float32)
    targets = np.zeros((count, num_classes), np.float32)
    targets[:, label] = 1.0
    pixels = made.predict([noise, targets], batch_size=256, verbose=0)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
