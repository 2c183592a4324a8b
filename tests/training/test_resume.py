"""A training that was stopped goes on as if it had not been; in one process, at chosen places."""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imgrec import runtime
from imgrec.config import OptimConfig
from imgrec.errors import InputError
from imgrec.training.checkpoint import Checkpoints
from imgrec.training.every import Every
from imgrec.training.fit import Fitted, Phase, Stream, fit_phases
from imgrec.training.keeper import Keep
from imgrec.training.live import Terms
from imgrec.training.monitor import Monitor

STEPS, BATCH = 5, 4
OPTIM = OptimConfig(epochs=3, batch_size=BATCH, learning_rate=0.1, warmup_epochs=0, label_smoothing=0.0)
Change = Callable[[int, np.ndarray], np.ndarray]


class At(keras.callbacks.Callback):
    """Sends a signal to this process at one step of the training, or of a validation."""

    def __init__(self, epoch: int, step: int, number: int = signal.SIGTERM, testing: bool = False) -> None:
        super().__init__()
        self.place, self.number, self.testing = (epoch, step), number, testing

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self.testing and (self.epoch, batch) == self.place:
            os.kill(os.getpid(), self.number)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.testing and (self.epoch, batch) == self.place:
            os.kill(os.getpid(), self.number)


def batch_of(step: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(step)
    labels = draw.integers(0, 2, BATCH)
    return (draw.normal(0, 1, (BATCH, 6)) + labels[:, None]).astype("float32"), np.eye(2, dtype="float32")[
        labels
    ]


def stream(
    epochs: int, first: int = 0, change: Change | None = None, seen: list[int] | None = None
) -> Stream:
    """Numbers that are a function of the step; `change` may spoil those of a step, `seen` notes them."""

    def batches(done: int) -> tf.data.Dataset:
        def give() -> Any:
            for step in range(first * STEPS + done, (first + epochs) * STEPS):
                values, targets = batch_of(step)
                if seen is not None:
                    seen.append(step)
                yield (values if change is None else change(step, values)), targets

        shapes = (tf.TensorSpec((BATCH, 6)), tf.TensorSpec((BATCH, 2)))
        count = tf.data.experimental.assert_cardinality(epochs * STEPS - done)
        return tf.data.Dataset.from_generator(give, output_signature=shapes).apply(count)

    return Stream(batches, lambda step: [f"image-{first * STEPS + step}-{row}" for row in range(BATCH)])


def validation() -> tf.data.Dataset:
    parts = [batch_of(1000 + step) for step in range(3)]
    return tf.data.Dataset.from_tensor_slices(tuple(map(np.concatenate, zip(*parts, strict=True)))).batch(
        BATCH
    )


def network() -> keras.Model:
    runtime.seed_everything(1)
    given = keras.Input((6,))
    x = keras.layers.Dense(8, name="stem")(given)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Dropout(0.4, name="drop")(keras.layers.ReLU()(x))
    x = keras.layers.Dense(8, activation="relu", name="features")(x)
    return keras.Model(given, keras.layers.Dense(2, name="logits")(x))


def keep(folder: Path, every: str = "1e", on_nan: Any = "stop") -> Keep:
    return Keep(Checkpoints(folder / "train", {"config": "c"}), Every.parse(every), on_nan)


def train(
    phases: Sequence[Phase], keeping: Keep | None, model: keras.Model | None = None, **options: Any
) -> tuple[keras.Model, Fitted]:
    model = model or network()
    options = {"optim": replace(OPTIM, epochs=phases[-1].until), **options}
    return model, fit_phases(model, phases, steps_per_epoch=STEPS, keep=keeping, **options)


def figures(fitted: Fitted) -> list[dict[str, float]]:
    timing = ("images_per_second", "seconds", "input_wait", "memory_mb")
    return [{key: value for key, value in row.items() if key not in timing} for row in fitted.history]


def assert_same(one: tuple[keras.Model, Fitted], two: tuple[keras.Model, Fitted]) -> None:
    assert figures(one[1]) == figures(two[1])
    assert one[1].best_epoch == two[1].best_epoch
    for a, b in zip(one[0].get_weights(), two[0].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def two(seen: list[int] | None = None) -> list[Phase]:
    """All but the first layer, then the head alone with a schedule of its own."""
    first = Phase(stream(2, seen=seen), validation(), 2, frozen="stem")
    return [first, Phase(stream(2, 2, seen=seen), validation(), 4, frozen="features", restart=True)]


def test_every_phase_goes_on_where_it_was_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = train(two(), None)
    with pytest.raises(SystemExit) as stopped:
        train(two(), keep(tmp_path), callbacks=[At(1, 3)])
    assert stopped.value.code == 143
    assert capsys.readouterr().out.splitlines()[-1].startswith("saved at epoch 2, after step 4; the same")
    with pytest.raises(SystemExit):
        train(two(), keep(tmp_path), callbacks=[At(3, 0)])
    seen: list[int] = []
    assert_same(train(two(seen), keep(tmp_path)), whole)
    assert seen == list(range(3 * STEPS + 1, 4 * STEPS)), "what comes before is not loaded"
    assert "going on at epoch 4, after step 1\n" in capsys.readouterr().out
    # What is done is not done again, and its best epoch comes back.
    assert_same(train(two(seen), keep(tmp_path)), whole)
    assert len(seen) == STEPS - 1


def test_a_plain_dataset_runs_through_what_was_done() -> None:
    phase = Phase(stream(2).batches(0), validation(), 2)
    for done in (0, 7):
        left = [values.numpy() for values, _ in phase.batches(done)]
        np.testing.assert_array_equal(left, [batch_of(step)[0] for step in range(done, 2 * STEPS)])
    assert phase.images(3) == ()


def test_an_epoch_stopped_in_its_validation_is_judged_again(tmp_path: Path) -> None:
    phases = [Phase(stream(2), validation(), 2)]
    whole = train(phases, None)
    with pytest.raises(KeyboardInterrupt):
        train(phases, keep(tmp_path), callbacks=[At(0, 1, number=signal.SIGINT, testing=True)])
    assert keep(tmp_path).checkpoints.names() == [f"000-000000-{STEPS:08d}"]
    assert_same(train(phases, keep(tmp_path)), whole)


@pytest.mark.parametrize(
    "settings",
    [
        {"ema": 0.6, "accumulate": 2, "schedule": "plateau", "schedule_options": ("wait=1", "threshold=0.5")},
        {"swa_epochs": 2, "sam": 0.05, "optimizer": "adamw", "learning_rate": 0.01},
    ],
    ids=["ema", "swa"],
)
def test_averages_plateau_and_looks_go_on(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Stopped in a validation, with the average in the model, and in the middle of an epoch."""

    def part(keeping: Keep | None, *more: keras.callbacks.Callback) -> tuple[keras.Model, Fitted]:
        model, optim = network(), replace(OPTIM, epochs=3, **settings)
        groups = {name: model.get_layer(name).trainable_variables for name in ("stem", "logits")}
        looking = Monitor(groups, 2, BATCH, accumulate=optim.accumulate)
        phases = [Phase(stream(3), validation(), 3)]
        return train(phases, keeping, model, optim=optim, callbacks=[looking, *more])

    whole = part(None)
    for where in (At(1, 1, testing=True), At(2, 1)):
        with pytest.raises(SystemExit):
            part(keep(tmp_path), where)
    assert_same(part(keep(tmp_path)), whole)


def test_two_hundred_checkpoints_leave_nothing_behind(tmp_path: Path) -> None:
    """Open files and memory between the 20th and the 200th."""
    sizes: dict[int, tuple[int, int]] = {}

    class Measure(keras.callbacks.Callback):
        saves = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.saves += 1
            if self.saves in (20, 199):
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                sizes[self.saves] = (len(os.listdir("/proc/self/fd")), pages * os.sysconf("SC_PAGE_SIZE"))

    epochs = 200 // STEPS
    given = keras.Input((6,))
    wide = keras.layers.Dense(10_000, name="wide")(given)  # 0.4 MB of weights and as much of momentum
    model = keras.Model(given, keras.layers.Dense(2, name="logits")(wide))
    phases = [Phase(stream(epochs), validation(), epochs)]
    train(
        phases,
        keep(tmp_path, "1"),
        model,
        optim=replace(OPTIM, epochs=epochs, learning_rate=1e-5),
        callbacks=[Measure()],
    )
    assert sizes[199][0] <= sizes[20][0]
    assert sizes[199][1] - sizes[20][1] < 20e6, "180 checkpoints of 1.1 MB are 200 MB"
    assert len(keep(tmp_path).checkpoints.names()) == 2


def test_a_disk_that_is_full_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest, saves = Checkpoints.save, []

    def save(self: Checkpoints, snapshot: Any) -> Path:
        saves.append(snapshot.place)
        if len(saves) > 1:
            raise OSError(28, "No space left on device")
        return honest(self, snapshot)

    monkeypatch.setattr(Checkpoints, "save", save)
    _, fitted = train([Phase(stream(3), validation(), 3)], keep(tmp_path))
    assert len(fitted.history) == 3
    said = capsys.readouterr().out
    assert "no checkpoint at epoch 3, after step 0: [Errno 28] No space left on device" in said
    assert said.count("000-000001-00000000 stays the newest") == 2
    assert keep(tmp_path).checkpoints.names() == ["000-000001-00000000"]


def spoil(*steps: int) -> Change:
    """One image of these steps is NaN."""

    def change(step: int, values: np.ndarray) -> np.ndarray:
        return (
            np.where(np.arange(BATCH)[:, None] == 2, np.nan, values).astype("float32")
            if step in steps
            else values
        )

    return change


def test_a_poisoned_image_stops_the_step_that_shows_it(tmp_path: Path) -> None:
    names = [f"image-7-{row}" for row in range(BATCH)]
    said = rf"in epoch 2, step 3: lower .*; its images: {', '.join(names)} \(all: .*bad_step.txt\); the "
    said += "checkpoint at epoch 2, after step 2 is kept, and --on-nan rollback"
    with pytest.raises(InputError, match=said):
        train([Phase(stream(3, change=spoil(7)), validation(), 3)], keep(tmp_path, "1"))
    assert (tmp_path / "train" / "bad_step.txt").read_text().split() == names
    kept = keep(tmp_path).checkpoints.newest()
    assert kept is not None
    assert all(np.isfinite(array).all() for arrays in kept.arrays.values() for array in arrays)


def test_a_gradient_that_is_none_is_found_in_its_own_step() -> None:
    """The loss of that step is finite: √|x| is 0 at 0, and its slope infinite."""
    given = keras.Input((6,))
    root = keras.ops.sqrt(keras.ops.abs(keras.layers.Dense(4, use_bias=False)(given)))
    model = keras.Model(given, keras.layers.Dense(2, name="logits")(root))

    def change(step: int, values: np.ndarray) -> np.ndarray:
        return values * (step != 6)

    phases = [Phase(stream(2, change=change), validation(), 2)]
    with pytest.raises(
        InputError, match=r"a weight became no number.* in epoch 2, step 2: .*images: image-6-0"
    ):
        train(phases, None, model)


def test_returning_is_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mad = replace(OPTIM, learning_rate=1e20)
    tried = "after 3 returns with lower rates; the checkpoint at epoch 1, after step 0 is kept"
    with pytest.raises(InputError, match=rf"in epoch 1, step 2: lower --learning-rate.*{tried}"):
        train([Phase(stream(1), validation(), 1)], keep(tmp_path, on_nan="rollback"), optim=mad)
    assert capsys.readouterr().out.count(": back to epoch 1, after step 0, rate × 0.5") == 3


def test_after_a_return_the_rate_is_half_and_stays_so(tmp_path: Path) -> None:
    """A NaN that does not come again: as of a loss that a lower rate tames."""
    left = [1]

    def once(step: int, values: np.ndarray) -> np.ndarray:
        if step == 8 and left:
            left.clear()
            return values * np.float32(np.nan)
        return values

    phases = [Phase(stream(3, change=once), validation(), 3)]
    _, fitted = train(phases, keep(tmp_path, "1e", "rollback"))
    assert not left
    rates = [row["learning_rate"] for row in fitted.history]
    cosine = [0.05 * (1 + np.cos(np.pi * done / 3)) for done in (1, 2, 3)]
    assert rates == pytest.approx([cosine[0], cosine[1] / 2, 0], abs=1e-7)
    kept = keep(tmp_path).checkpoints.newest()
    assert kept is not None
    assert Terms.of(kept) == Terms(rate=0.5, returns=1), "so that a process that goes on keeps to it"


def small() -> keras.Model:
    runtime.seed_everything(1)
    given = keras.Input((6,))
    hidden = keras.layers.Dense(8, activation="relu")(given)
    return keras.Model(given, keras.layers.Dense(2, name="logits", dtype="float32")(hidden))


@pytest.fixture
def float16() -> Any:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.usefixtures("float16")
def test_loss_scaling_skips_and_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phases = [Phase(stream(3, change=spoil(6, 8)), validation(), 3)]
    whole = train(phases, None, small())
    assert [row["skipped_steps"] for row in whole[1].history] == [0, 2, 0]
    assert all(np.isfinite(value) for row in whole[1].history for value in row.values())
    assert capsys.readouterr().out.count("skipped, a gradient was no number; its images: image-6-0") == 1
    with pytest.raises(SystemExit):
        train(phases, keep(tmp_path), small(), callbacks=[At(1, 2)])  # between the two
    kept = keep(tmp_path).checkpoints.newest()
    assert kept is not None
    assert kept.state["guard"]["skipped"] == 1
    assert any(array.shape == () and array == 2.0**14 for array in kept.arrays["optimizer"]), "halved once"
    assert_same(train(phases, keep(tmp_path), small()), whole)


@pytest.mark.slow
@pytest.mark.usefixtures("float16")
def test_loss_scaling_that_never_gets_anywhere_stops() -> None:
    phases = [Phase(stream(9, change=spoil(*range(3, 99))), validation(), 9)]
    with pytest.raises(InputError, match="loss scaling skipped 31 steps in a row in epoch 7, step 4"):
        train(phases, None, small())
