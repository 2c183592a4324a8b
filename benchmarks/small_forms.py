"""Small forms of the zoo on a part of the sample: trained, quantised after training, and fine-tuned rounded.

What `benchmarks.zoo_int8` and `benchmarks.qat` have in common: one training of each family, short enough for
two processor cores. Rates and decays are those that `auto` takes for the family; the fine-tuning is that of
`pipelines.train --quantize qat`.
"""

import dataclasses
import time
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from benchmarks.paired import processor_seconds
from imgrec.compression import qat
from imgrec.config import AugmentConfig, DataConfig, OptimConfig
from imgrec.data.loading import load_arrays
from imgrec.data.pipeline import Feed, evaluation_dataset, steps_per_epoch, training_dataset
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.dataset import Source
from imgrec.data.sources.load import load_source
from imgrec.models import build_model, info
from imgrec.runs.deciding import batch_for
from imgrec.runs.exporting import spread
from imgrec.spec import Spec
from imgrec.tasks.multiclass import Multiclass
from imgrec.training.fit import fit

CALIBRATION_IMAGES, QAT_RATE, QAT_WARMUP = 256, 0.001, 0.1
"""The defaults of --calibration-images and --qat-learning-rate, and the warm-up of that fine-tuning."""


@dataclass(frozen=True)
class Form:
    """One network of a family, and how long it learns.

    model: name with options.
    images, epochs, tuning_epochs: training images of the sample, passes over them, and passes rounded.
    side: of the images, in pixels; the sample's have 28.
    """

    model: str
    images: int = 4000
    epochs: int = 6
    tuning_epochs: int = 2
    side: int = 28

    @property
    def spec(self) -> Spec:
        """Name and options of the network."""
        return Spec.named(self.model, "model")


@dataclass(frozen=True)
class Prepared:
    """The images of a form, and how batches are made of them."""

    form: Form
    seed: int
    source: Source
    preprocess: Preprocess
    batch: int
    optim: OptimConfig
    feed: Feed
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return steps_per_epoch(len(self.source.train), self.batch)

    def stream(self, epochs: int, first_epoch: int = 0) -> Any:
        """Return the training batches of some epochs, those before `first_epoch` left out."""
        begin = first_epoch * self.steps
        return training_dataset(self.source.train, self.feed, steps=epochs * self.steps, start_step=begin)

    def validation(self) -> Any:
        """Return the validation batches."""
        return evaluation_dataset(self.source.val, self.preprocess, self.feed.targets, self.batch)

    def test(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all test images, uint8 `[N, H, W, C]`, and their labels `[N]`."""
        return load_arrays(self.source.test, self.preprocess), self.source.test.labels

    def calibration(self) -> np.ndarray:
        """Return training images spread over the split, uint8 `[N, H, W, C]`."""
        chosen = spread(len(self.source.train), CALIBRATION_IMAGES)
        return load_arrays(self.source.train.take(chosen), self.preprocess)

    def tuning(self, times: int = 1) -> OptimConfig:
        """Return how the rounded model is fine-tuned: as `runs.exporting.fine_tune` does, `times` as long."""
        return dataclasses.replace(
            self.optim,
            epochs=times * self.form.tuning_epochs,
            optimizer="sgd",
            learning_rate=QAT_RATE,
            warmup_epochs=QAT_WARMUP,
        )


def prepare(form: Form, seed: int = 0) -> Prepared:
    """Load a part of the sample, evenly spread over its training images; all of its test images stay."""
    source = load_source(DataConfig(), seed)
    train = source.train.take(spread(len(source.train), form.images))
    source = dataclasses.replace(source, train=train, val=source.val.take(spread(len(source.val), 500)))
    preprocess, batch = Preprocess(size=(form.side, form.side), colour="grey"), batch_for(form.images)
    learning = info(form.spec.name).learning
    optim = OptimConfig.plain(
        epochs=form.epochs,
        batch_size=batch,
        optimizer=learning.optimizer,
        learning_rate=learning.rate(learning.optimizer, batch),
        weight_decay=learning.decay(learning.optimizer),
    )
    # As --crop auto has it for fewer than ten epochs.
    feed = Feed(preprocess, Multiclass(source.classes).targets, AugmentConfig(crop="none"), batch, seed)
    return Prepared(form, seed, source, preprocess, batch, optim, feed)


def new_model(data: Prepared) -> keras.Model:
    """Return the form's network with random weights, by the seed."""
    keras.utils.set_random_seed(data.seed)
    spec = data.form.spec
    return build_model(spec.name, data.preprocess.shape, len(data.source.classes), **spec.options)


def train(data: Prepared) -> keras.Model:
    """Train the form's network from random weights and return it."""
    model = new_model(data)
    begun = time.perf_counter(), processor_seconds()
    fit(model, data.stream(data.form.epochs), data.validation(), optim=data.optim, steps_per_epoch=data.steps)
    _note(data, "float", begun)
    return model


def fine_tuned(data: Prepared, calibrated: keras.Model, times: int = 1) -> keras.Model:
    """Train a model of `qat.prepare` further, in place, on the epochs after the last, and return it.

    `times` as many epochs as the form has.
    """
    begun = time.perf_counter(), processor_seconds()
    optim = data.tuning(times)
    stream = data.stream(int(optim.epochs), first_epoch=data.form.epochs)
    fit(calibrated, stream, data.validation(), optim=optim, steps_per_epoch=data.steps)
    _note(data, "qat", begun)
    return calibrated


def calibrated(data: Prepared, model: keras.Model) -> keras.Model:
    """Return the int8 form of a trained model, its ranges measured on training images."""
    return qat.prepare(model, data.calibration())


def _note(data: Prepared, what: str, begun: tuple[float, float]) -> None:
    data.seconds[f"{what}_wall_s"] = round(time.perf_counter() - begun[0], 1)
    data.seconds[f"{what}_processor_s"] = round(processor_seconds() - begun[1], 1)
