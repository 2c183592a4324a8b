"""Export every file that was asked for, and measure each against the model it was made from."""

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from imgrec.artefact import Artefact, Promise
from imgrec.compression.variants import VARIANTS, chain
from imgrec.data.loading import load_arrays
from imgrec.export import parity
from imgrec.export.card import Card
from imgrec.export.formats import FORMATS, chosen
from imgrec.learning import methods
from imgrec.learning.session import Session
from imgrec.metrics.baseline import Standing
from imgrec.runs import resume
from imgrec.runs.ahead import after_tuning
from imgrec.runtime import scope
from imgrec.training.fit import Recording, fit_phases

PARITY_IMAGES = 2000
"""At most this many test images go through every file, one at a time as on a phone."""


@dataclass(frozen=True)
class Exported:
    """The files' figures, on the same images.

    failures: what the gate holds against files; empty where they may ship.
    table: the rows as text.
    doubts: what the images are too few to show, in one line, or empty.
    excused: what would be held against files if their model answered better than by chance.
    """

    images: int
    rows: list[parity.ParityRow]
    failures: list[str]
    table: str
    doubts: str = ""
    excused: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Return what metrics.json has of it, ready for JSON."""
        files = [dataclasses.asdict(row) for row in self.rows]
        told = {"failures": self.failures, "excused": self.excused, "doubts": self.doubts}
        return {"images": self.images, "files": files, **told}

    def lines(self) -> list[str]:
        """Return the table, and what is said of the files, a line each."""
        told = [f"parity gate: {failure}" for failure in self.failures]
        told += [f"not held against the file: {each}" for each in self.excused]
        return [*self.table.splitlines(), "", *told, *([self.doubts] if self.doubts else [])]


def judged(exported: Exported, standing: Standing) -> Exported:
    """Return the same, failures excused where the model answers by chance: nothing is there to agree with."""
    if not standing.by_chance:
        return exported
    return dataclasses.replace(exported, failures=[], excused=exported.failures)


def export(
    session: Session,
    folder: Path,
    outputs: np.ndarray,
    into: Path | None = None,
) -> Exported:
    """Write the files that the settings ask for, and put the same real test images through model and files.

    Args:
        session: trained, its model in float32.
        folder: of the run; a fine-tuning's history and checkpoints go there.
        outputs: the trained model's for the whole test split, float32 `[N, outputs]`.
        into: folder of the files, by default the run's exports/.
    """
    formats = chosen(session.config.quantize.export_to, "--export-to")
    measured = spread(len(session.source.test), PARITY_IMAGES)
    test = session.source.test.take(measured)
    images, outputs = load_arrays(test, session.preprocess), outputs[measured]
    rows, model, card = [], session.model, card_of(session)
    for name in chain(session.config.quantize.quantize):
        model = made(session, name, model, folder)
        reference = outputs
        if model is not session.model and VARIANTS[name].promise is Promise.SAME_ANSWERS:
            reference = model.predict(images.astype("float32"), batch_size=session.batch_size, verbose=0)
        for artefact in written(model, name, into or folder / "exports", card, formats):
            rows.append(parity.measure(artefact, images, test.labels, reference, outputs, session.task))
    return Exported(len(images), rows, parity.gate(rows), parity.table(rows), parity.doubts(rows))


def card_of(session: Session) -> Card:
    """Return what the run's files say of themselves; the same for every machine and folder."""
    model, classes = session.model.name, len(session.task.classes)
    told = f"{model}, trained by imgrec on {len(session.source.train):,} images in {classes:,} classes"
    return Card(model, told, session.task, session.preprocess)


def made(session: Session, name: str, model: keras.Model, folder: Path) -> keras.Model:
    """Return the model that the variant `name` exports, made from that of the variant before it."""
    variant = VARIANTS[name]
    if variant.convert:
        # What was drawn before depends on how often the training was interrupted.
        keras.utils.set_random_seed(session.config.run.seed)
        with scope(session.strategy):
            model = variant.convert(model, calibration_images(session))
    if variant.fine_tuning:
        fine_tune(session, name, model, folder)
    return model


def written(
    model: keras.Model, variant: str, folder: Path, card: Card, formats: Collection[str] = FORMATS
) -> Iterator[Artefact]:
    """Write the file of each of the `formats` that takes the variant."""
    made_as = VARIANTS[variant]
    for name, form in FORMATS.items():
        if name in formats and made_as.arithmetic in form.writers:
            path = folder / f"{made_as.stem}{form.ending}"
            print(f"exporting {path.name}", flush=True)
            yield Artefact(
                form.writers[made_as.arithmetic](model, path, card), name, variant, made_as.promise
            )


def fine_tune(session: Session, variant: str, model: keras.Model, folder: Path) -> None:
    """Train the variant's model a little longer, in place, on the epochs after the last."""
    settings, optim = session.config.quantize, session.config.optim
    print(f"{VARIANTS[variant].fine_tuning} fine-tuning, {settings.qat_epochs} epochs", flush=True)
    method = methods.choose(session.config)
    fit_phases(
        model,
        [method.fine_tuning(dataclasses.replace(session, model=model), settings.qat_epochs)],
        optim=dataclasses.replace(
            optim,
            epochs=settings.qat_epochs,
            batch_size=session.batch_size,
            optimizer="sgd",
            schedule="cosine",
            layer_decay=1.0,
            l1=0.0,
            l2=0.0,
            ema=0.0,
            swa_epochs=0,
            sam=0.0,
            learning_rate=settings.qat_learning_rate,
            warmup_epochs=0.1,
            patience=0,
        ),
        steps_per_epoch=session.steps_per_epoch,
        goal=session.goal,
        strategy=session.strategy,
        recording=Recording(
            folder / f"history_{variant}.csv",
            policy=resume.checkpoint_policy(session, folder, variant),
            ahead=after_tuning(session, variant, PARITY_IMAGES),
        ),
    )


def calibration_images(session: Session) -> np.ndarray:
    """Training images as they are shipped to the file, uint8 `[N, H, W, C]`, spread over the split."""
    train = session.source.train
    chosen = spread(len(train), session.config.quantize.calibration_images)
    return load_arrays(train.take(chosen), session.preprocess)


def spread(total: int, wanted: int) -> np.ndarray:
    """Return at most `wanted` positions of `total`, evenly spread, so that sorted classes all take part."""
    return np.unique(np.linspace(0, total - 1, min(total, wanted)).round().astype(int))
