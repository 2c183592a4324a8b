"""Averages of the weights against NumPy: what is validated and kept, and that training does not notice."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec import runtime
from imgrec.config import OptimConfig
from imgrec.layers.normalization import BatchNormalization
from imgrec.training.batch_statistics import normalizations
from imgrec.training.fit import Phase, Recording, fit_phases
from imgrec.training.optim.averaging import Averaging, averaging, reserve
from imgrec.training.optim.optimizers import build_optimizer

EPOCHS, STEPS, BATCH = 3, 3, 6
DRAW = np.random.default_rng(0)
LABELS = np.arange(STEPS * BATCH) % 2
X = (DRAW.normal(1, 2, (len(LABELS), 4, 4, 2)) + 0.8 * LABELS[:, None, None, None]).astype("float32")
DATA = tf.data.Dataset.from_tensor_slices((X, np.eye(2, dtype="float32")[LABELS])).batch(BATCH)


def optim(**values: Any) -> OptimConfig:
    plain = {"epochs": EPOCHS, "schedule": "constant", "warmup_epochs": 0.0, "learning_rate": 0.1}
    return OptimConfig.plain(batch_size=BATCH, **{**plain, **values})


def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    given = keras.Input((4, 4, 2))
    x = BatchNormalization(name="norm", momentum=0.9)(given)
    x = keras.layers.Conv2D(3, 3, name="conv", use_bias=False)(x)
    x = BatchNormalization(name="second")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(given, keras.layers.Dense(2, name="logits")(x))


class Trail(keras.callbacks.Callback):
    """Notes all weights after every step and at the end of every epoch, when the best are kept."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.whole = model
        self.steps: list[list[np.ndarray]] = []
        self.ends: list[list[np.ndarray]] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps.append([np.array(w) for w in self.whole.get_weights()])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.ends.append([np.array(w) for w in self.whole.get_weights()])


def train(settings: OptimConfig, frozen: str = "", strategy: Any = None) -> tuple[keras.Model, Trail, Any]:
    with runtime.scope(strategy):
        model = network()
    trail = Trail(model)
    phases = [Phase(DATA.repeat(2), DATA, 2, frozen=frozen), Phase(DATA.repeat(1), DATA, EPOCHS)]
    fitted = fit_phases(
        model,
        phases,
        optim=settings,
        steps_per_epoch=STEPS,
        recording=Recording(callbacks=[trail]),
        strategy=strategy,
    )
    return model, trail, fitted


@pytest.fixture(scope="module")
def plain() -> Trail:
    return train(optim())[1]


def trainable(model: keras.Model) -> list[int]:
    return [i for i, w in enumerate(model.weights) if w.trainable]


def test_the_moving_average_is_what_is_validated_and_kept(plain: Trail) -> None:
    model, trail, fitted = train(optim(ema=0.7))
    for one, other in zip(trail.steps, plain.steps, strict=True):  # bit for bit as without
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    for i in trainable(model):
        average, ends = plain.steps[0][i], []
        for number, weights in enumerate(plain.steps):
            average = 0.7 * average + 0.3 * weights[i] if number else weights[i]
            if (number + 1) % STEPS == 0:
                ends.append(average)
        for epoch in range(EPOCHS):
            np.testing.assert_allclose(trail.ends[epoch][i], ends[epoch], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(model.get_weights()[i], ends[fitted.best_epoch - 1], rtol=1e-4, atol=1e-6)
    best = fitted.history[fitted.best_epoch - 1]
    loss, accuracy = model.evaluate(DATA, verbose=0)
    assert (loss, accuracy) == pytest.approx((best["val_loss"], best["val_accuracy"]), rel=1e-4)


def test_the_average_of_the_last_epochs_has_statistics_of_its_own(plain: Trail) -> None:
    model, trail, _ = train(optim(swa_epochs=2))
    for one, other in zip(trail.steps, plain.steps, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
    at_ends = plain.steps[STEPS - 1 :: STEPS]
    for i in trainable(model):
        np.testing.assert_array_equal(trail.ends[0][i], at_ends[0][i])
        np.testing.assert_allclose(trail.ends[1][i], at_ends[1][i], rtol=1e-6)
        np.testing.assert_allclose(
            trail.ends[2][i], (at_ends[1][i] + at_ends[2][i]) / 2, rtol=1e-5, atol=1e-7
        )
    names = [w.path for w in model.weights]
    values = dict(zip(names, trail.ends[2], strict=True))
    np.testing.assert_allclose(values["norm/moving_mean"], X.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(values["norm/moving_variance"], X.var((0, 1, 2)), rtol=1e-4)
    model.set_weights(trail.ends[2])
    second = keras.Model(model.input, model.get_layer("conv").output)
    # Every batch by its own moments in the first layer, as in training: nearly those of all.
    middle = second.predict(X, verbose=0)
    np.testing.assert_allclose(values["second/moving_mean"], middle.mean((0, 1, 2)), atol=0.05)
    np.testing.assert_allclose(values["second/moving_variance"], middle.var((0, 1, 2)), rtol=0.2)


@pytest.mark.parametrize(("values", "devices"), [({"ema": 0.9}, "mirrored"), ({"swa_epochs": 3}, "none")])
def test_frozen_layers_and_mirrored_devices_go_together_with_averages(
    values: dict[str, Any], devices: str
) -> None:
    """Keras's own average fails at the end of a phase in which some variables do not learn."""
    strategy, _ = runtime.choose_strategy(devices)
    model, trail, fitted = train(optim(**values), frozen="features", strategy=strategy)
    start = network().get_weights()
    for i, weight in enumerate(model.weights):
        moved = np.abs(trail.ends[1][i] - start[i]).max()
        # An average of equal numbers is off by a rounding.
        assert (moved > 1e-5) == weight.path.startswith("logits"), weight.path
        assert not weight.path.endswith("kernel") or np.abs(trail.ends[2][i] - start[i]).max() > 1e-5
    assert len(fitted.history) == EPOCHS


def test_a_training_stopped_in_validation_finds_its_weights_again() -> None:
    """The process ends with the average in the model; another one puts back model and optimiser, no more."""
    states = []
    for values in ({"ema": 0.5}, {"swa_epochs": 2}):
        settings, model = optim(**values), network()
        built = build_optimizer(model, settings, STEPS)
        built.build(model.trainable_variables)
        reserve(built, model, settings)
        (first,) = averaging(built, model, model, settings, EPOCHS, Phase(DATA, DATA, EPOCHS))
        for step in range(2):
            built.apply(
                [keras.ops.full(v.shape, 0.1 + step) for v in model.trainable_variables],
                model.trainable_variables,
            )
        own = [np.array(w) for w in model.get_weights()]
        first.on_epoch_begin(1)
        first.on_test_begin()
        inside = [np.array(w) for w in model.get_weights()]
        assert isinstance(first, Averaging) and built.swapped.numpy() == 1
        (second,) = averaging(built, model, model, settings, EPOCHS, Phase(DATA, DATA, EPOCHS))
        second.on_train_begin()
        for a, b in zip(model.get_weights(), own, strict=True):
            np.testing.assert_array_equal(a, b)
        second.on_epoch_begin(1)
        second.on_test_begin()  # validates once more: the epoch counts once
        for a, b in zip(model.get_weights(), inside, strict=True):
            np.testing.assert_array_equal(a, b)
        states.append(np.abs(inside[0] - own[0]).max())
    assert states[0] > 0  # a moving average is not the weights; a mean over one epoch is
    assert len(normalizations(network())) == 2
