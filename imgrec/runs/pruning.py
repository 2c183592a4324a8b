"""The networks whose files an export writes: the trained one, and one pruned of it where asked for."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from imgrec import bundle, files, tasks
from imgrec.artefact import Calibrated
from imgrec.compression.cost import macs
from imgrec.compression.pruning import sparse
from imgrec.compression.pruning.channels import Channels
from imgrec.compression.pruning.importance import Batch
from imgrec.compression.pruning.prunings import SHARE_OF_RATE, Asked, read
from imgrec.data.loading import load_arrays
from imgrec.learning.session import Session
from imgrec.runs.ahead import after_pruning
from imgrec.runs.record import record_of
from imgrec.runs.tuning import Tuning, short, spread, tune
from imgrec.runtime import scope

IMAGES, BATCH = 512, 16
"""Training images on which the importance of channels is measured, and how many at a time: its variance is in
the square over a batch, as in Molchanov et al., 2019, § 4."""
STEMS = {"channels": "pruned", "weights": "sparse"}
"""What files and folder of a pruned network are called."""


@dataclass(frozen=True)
class Base:
    """A network to write files of.

    stem: what their names begin with.
    quantize: the variant that is written of it, with those before.
    """

    model: keras.Model
    quantize: str
    stem: str = ""


def bases(session: Session, folder: Path, into: Path, most: int) -> Iterator[Base]:
    """Give the trained network, then the pruned one, which is then made and fine-tuned, as a run of its own.

    Of the trained one there is only the float32 file then, to compare with.

    Args:
        session: trained, its model in float32.
        folder: of the fine-tuning's history and checkpoints.
        into: folder of the files, in which the pruned network becomes a run folder.
        most: images that go through each file.
    """
    asked, quantize = read(session.config.quantize.prune), session.config.quantize.quantize
    yield Base(session.model, "none" if asked else quantize)
    if asked is None:
        return
    keras.utils.set_random_seed(session.config.run.seed)
    model, recorded, tuning = _started(session, asked)
    tune(session, model, tuning, folder, after_pruning(session, most))
    stem = STEMS[asked.name]
    _write_run(session, model, recorded, into / stem)
    print(_summary(session.model, model, asked), flush=True)
    yield Base(model, quantize, f"{stem}_")


def keep_zeros(session: Session, model: keras.Model | Calibrated) -> None:
    """Let the zeros of pruned weights stay where a model made of them is trained on."""
    asked = read(session.config.quantize.prune)
    if asked and not isinstance(asked.pruning, Channels) and isinstance(model, keras.Model):
        sparse.holding(model)


def _started(session: Session, asked: Asked) -> tuple[keras.Model, dict[str, Any], Tuning]:
    """The network to fine-tune, what `bundle.build` makes one like it from, and how it is tuned."""
    rate = asked.rate or SHARE_OF_RATE * float(session.config.optim.learning_rate)
    tuning = Tuning(STEMS[asked.name], "post-pruning", short(session, asked.epochs, rate))
    recorded, pruning = session.recorded_model, asked.pruning
    trained = session.model
    if session.strategy is not None:  # mirrored weights have no gradient outside of a training step
        trained = bundle.build(recorded)
        trained.set_weights(session.model.get_weights())
    with scope(session.strategy):
        if isinstance(pruning, Channels):
            model, widths = pruning.prune(trained, _evidence(session), session.goal.loss)
            merged = {**recorded.get("widths", {})}
            for name, numbers in widths.items():
                merged[name] = {**merged.get(name, {}), **numbers}
            return model, {**recorded, "widths": merged}, tuning
        model = bundle.build(recorded)
        model.set_weights(session.model.get_weights())
        steps = asked.epochs * session.steps_per_epoch
        prune = pruning.callback(model, steps)
    full = -(-prune.last // session.steps_per_epoch) - 1  # the epoch in which the last weights go
    return model, recorded, dataclasses.replace(tuning, callbacks=(prune,), best_since=full)


def _evidence(session: Session) -> list[Batch]:
    """Training images and their targets, in batches, classes mixed, as they are shipped to the file."""
    train = session.source.train
    chosen = np.random.default_rng(session.config.run.seed).permutation(spread(len(train), IMAGES))
    part = train.take(chosen)
    images = load_arrays(part, session.preprocess).astype("float32")
    targets = keras.ops.convert_to_numpy(session.task.targets(keras.ops.convert_to_tensor(part.labels)))
    starts = range(0, len(images), BATCH)
    return [(images[i : i + BATCH], targets[i : i + BATCH]) for i in starts]


def _write_run(session: Session, model: keras.Model, recorded: dict[str, Any], folder: Path) -> None:
    """Write the pruned network as a run folder, which every command takes for `--run`."""
    plain = bundle.build(recorded)  # without the optimiser of the fine-tuning
    plain.set_weights(model.get_weights())
    config = session.config.replace(prune="none")
    own = dataclasses.replace(session, config=config, recorded_model=recorded, model=plain)
    files.write_json(folder / "run.json", record_of(own))
    files.write_file(folder / "model.keras", lambda path: plain.save(path))
    files.write_text(folder / "preprocess.json", session.preprocess.to_json())
    tasks.write(folder, session.task)
    bundle.write_manifest(folder)


def _summary(before: keras.Model, after: keras.Model, asked: Asked) -> str:
    """What pruning did to the network, in one line."""
    numbers = [(macs(model), model.count_params()) for model in (before, after)]
    if isinstance(asked.pruning, Channels):
        (was, had), (now, has) = numbers
        return (
            f"pruned: {was:,} → {now:,} multiply-accumulates (−{1 - now / was:.1%}), "
            f"{had:,} → {has:,} parameters (−{1 - has / had:.1%})"
        )
    shares = list(sparse.zeros(after))
    zeros = f"{min(shares):.1%} to {max(shares):.1%} zeros in each of {len(shares)} kernels"
    return f"pruned: {zeros}; no fewer operations, and a smaller file only when compressed"
