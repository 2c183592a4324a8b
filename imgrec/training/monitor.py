"""Norms of gradients, weights and updates by depth, and what the process takes, while it trains."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from imgrec import runtime
from imgrec.training.callbacks import Remembering
from imgrec.training.optim.optimizers import raw

VANISHED = 1e-7
"""A gradient shorter than this share of the weights moves nothing in float32 at usual rates."""
EXPLODED = 1e3
"""A gradient longer than this many times the weights."""
REPLACED = 0.5
"""An update this long, as a share of the weights, is a new beginning rather than a step."""


class Monitor(Remembering):
    """Every `every` steps of an epoch, from its first on, looks at each group of variables.

    TensorBoard gets each look; an epoch's logs get the means of its looks as `gradient_norm/NAME`,
    `weight_norm/NAME` and `update_ratio/NAME` (the norm of what the step changed over that of the weights),
    and the memory at its end. A norm that vanishes or explodes is told once for each group. Stands before
    those who write the logs. TensorFlow only. A look that an interruption cuts in two, under accumulation, is
    lost.

    Args:
        groups: name → variables that the optimiser is built with.
        every: steps, 1 or more.
        batch_size: images a step.
        accumulate: batches an update; a look then takes as many steps.
        log: folder for TensorBoard, or None.
    """

    remembered = ("looks", "told")  # of the epoch so far, and what was said of a group

    def __init__(
        self,
        groups: Mapping[str, Sequence[Any]],
        every: int,
        batch_size: int,
        *,
        accumulate: int = 1,
        log: Path | None = None,
    ) -> None:
        super().__init__()
        self.groups = {name: list(variables) for name, variables in groups.items()}
        self.every, self.batch_size, self.accumulate = every, batch_size, accumulate
        self.log = log
        self.told: list[list[str]] = []
        self.writer: Any = None
        self.looks: list[list[list[float]]] = []
        self.before: list[list[Any]] | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Let the optimiser note the gradients' norms, from the first step that is traced on."""
        import tensorflow as tf

        self.rule = raw(self.model.optimizer)
        with runtime.scope(self.model.distribute_strategy):
            self.rule.watch(list(self.groups.values()))
        learning = {id(v) for v in self.model.trainable_variables}
        self.learning = {name for name, vs in self.groups.items() if any(id(v) in learning for v in vs)}
        self.norms = tf.function(self._norms)
        self.writer = tf.summary.create_file_writer(str(self.log / "steps")) if self.log else None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Start the clock; the looks of an epoch that goes on are there already."""
        self.epoch, self.before = epoch, None
        self.since, self.counted = time.perf_counter(), 0

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keep the weights where a look begins."""
        # Not `batch`, which begins with 0 where an epoch goes on that another process began.
        self.step = int(ops.convert_to_numpy(self.rule._iterations)) % self.params["steps"]
        if self.before is None and self.step % self.every == 0:
            self.begun = self.step
            self.before = [[ops.copy(v) for v in variables] for variables in self.groups.values()]

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Look, where one began."""
        self.counted += 1
        if self.before is None or self.step < self.begun + self.accumulate - 1:
            return
        weights, updates = (np.array(n) for n in self.norms(self.before))
        self.before = None
        gradients = np.array(ops.convert_to_numpy(self.rule.gradient_norms), "float64")
        ratios = updates / np.maximum(weights, 1e-30)
        look = np.stack([gradients, weights, ratios]).astype("float64")
        self.looks.append(look.tolist())
        self._warn(look)
        if self.writer:
            self._write(look)
        self.since, self.counted = time.perf_counter(), 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Hand the means to the history; no number where the epoch was too short for a look."""
        if logs is not None:
            none = np.full((3, len(self.groups)), np.nan)
            logs.update(self._named(np.mean(self.looks, axis=0) if self.looks else none))
            logs.update(memory())
        self.looks = []

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Close the log."""
        if self.writer:
            self.writer.close()
            self.writer = None

    def _norms(self, before: list[list[Any]]) -> tuple[Any, Any]:
        """Return the norms of the weights `before` and of their changes since, float32 `[groups]` each."""

        def norm(parts: list[Any]) -> Any:
            return ops.sqrt(sum(ops.sum(ops.square(ops.cast(p, "float32"))) for p in parts))

        now = [[ops.convert_to_tensor(v) for v in variables] for variables in self.groups.values()]
        changes = [[a - b for a, b in zip(*pair, strict=True)] for pair in zip(now, before, strict=True)]
        return ops.stack([norm(old) for old in before]), ops.stack([norm(change) for change in changes])

    def _named(self, look: np.ndarray) -> dict[str, float]:
        kinds = ("gradient_norm", "weight_norm", "update_ratio")
        return {
            f"{kind}/{name}": float(value)
            for kind, row in zip(kinds, look, strict=True)
            for name, value in zip(self.groups, row, strict=True)
        }

    def _write(self, look: np.ndarray) -> None:
        import tensorflow as tf

        step = int(ops.convert_to_numpy(self.rule._iterations))
        rate = float(ops.convert_to_numpy(self.rule.learning_rate))
        pace = self.counted * self.batch_size / max(time.perf_counter() - self.since, 1e-9)
        values = {**self._named(look), "learning_rate": rate, "images_per_second": pace, **memory()}
        with self.writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)

    def _warn(self, look: np.ndarray) -> None:
        """Say what is wrong with a group that learns, once for each kind of wrong."""
        for name, (gradient, weight, ratio) in zip(self.groups, look.T, strict=True):
            if name not in self.learning:
                continue
            wrong = None
            if not np.isfinite(gradient) or gradient > EXPLODED * weight:
                wrong = ("explodes", f"{gradient:.1e}: lower --learning-rate, or set --clip-norm 1")
            elif gradient < VANISHED * weight:
                wrong = ("vanishes", f"{gradient:.1e}: it learns nothing; is the loss 0, or a unit dead?")
            elif ratio > REPLACED:
                wrong = ("is thrown far", f"{gradient:.1e}: lower --learning-rate, or lengthen the warm-up")
            if wrong and [name, wrong[0]] not in self.told:
                self.told.append([name, wrong[0]])
                where = f"epoch {self.epoch + 1}, step {self.step + 1}"
                sizes = f"weights' norm {weight:.1e}, update {ratio:.1e} of it, gradient {wrong[1]}"
                print(f"\nwarning: {where}: {name} {wrong[0]}: {sizes}", flush=True)


def memory() -> dict[str, float]:
    """Return the process's resident memory, and on a GPU the device's in use, in MB of 10⁶ bytes."""
    import tensorflow as tf

    found = {"memory_mb": round(_resident() / 1e6, 1)}
    if tf.config.list_logical_devices("GPU"):
        used = tf.config.experimental.get_memory_info("GPU:0")["current"]
        found["device_memory_mb"] = round(used / 1e6, 1)
    return found


def _resident() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux: the most there was, in bytes on macOS
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def log_images(log: Path, images: np.ndarray) -> None:
    """Show uint8 `[N, H, W, C]` in TensorBoard."""
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(log / "images"))
    with writer.as_default():
        tf.summary.image("training images", images, step=0, max_outputs=len(images))
    writer.close()
