"""Export every file that was asked for, and measure each against the model it was made from."""

import dataclasses
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from imgrec.artefact import Artefact, Promise
from imgrec.compression.layer_errors import layer_errors
from imgrec.compression.variants import chain, find
from imgrec.data.loading import load_arrays
from imgrec.export import parity
from imgrec.export.card import Card
from imgrec.export.formats import FORMATS, chosen
from imgrec.learning.session import Session
from imgrec.metrics.baseline import Standing
from imgrec.runs import fallback
from imgrec.runs.ahead import after_tuning
from imgrec.runs.gating import Gate
from imgrec.runs.pruning import Base, bases, keep_zeros
from imgrec.runs.tuning import Tuning, short, spread, tune
from imgrec.runtime import scope
from imgrec.spec import Spec

PARITY_IMAGES = 2000
"""At most this many test images go through every file, one at a time as on a phone."""


@dataclass(frozen=True)
class Exported:
    """The files' figures, on the same images.

    failures: what the gate holds against files; empty where they may ship.
    table: the rows as text.
    doubts: what the images are too few to show, in one line, or empty.
    excused: what would be held against files if their model answered better than by chance.
    costs: which parts of files stay float32, and what that costs.
    """

    images: int
    rows: list[parity.ParityRow]
    failures: list[str]
    table: str
    doubts: str = ""
    excused: list[str] = field(default_factory=list)
    costs: list[str] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Return what metrics.json has of it, ready for JSON."""
        files = [dataclasses.asdict(row) for row in self.rows]
        told = {"failures": self.failures, "excused": self.excused, "doubts": self.doubts}
        told |= {"costs": self.costs} if self.costs else {}
        return {"images": self.images, "files": files, **told}

    def lines(self) -> list[str]:
        """Return the table, and what is said of the files, a line each."""
        told = [*self.costs, *(f"parity gate: {failure}" for failure in self.failures)]
        told += [f"not held against the file: {each}" for each in self.excused]
        told += [self.doubts] if self.doubts else []
        return [*self.table.splitlines(), "", *parity.insides(self.rows), "", *told]


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
    *,
    milder: bool = True,
) -> Exported:
    """Write the files that the settings ask for, and put the same real test images through model and files.

    Args:
        session: trained, its model in float32.
        folder: of the run; a fine-tuning's history and checkpoints go there.
        outputs: the trained model's for the whole test split, float32 `[N, outputs]`.
        into: folder of the files, by default the run's exports/.
        milder: whether a post-training file that fails the gate is made again in milder ways, see
            `runs.fallback`; a model that answers by chance has nothing to save.
    """
    measured = spread(len(session.source.test), PARITY_IMAGES)
    gate = Gate.of(session, session.source.test.take(measured), outputs[measured])
    into = into or folder / "exports"
    rows: list[parity.ParityRow] = []
    costs: list[str] = []
    for base in bases(session, folder, into, PARITY_IMAGES):
        made_from = _Files(session, base, gate, folder, into)
        for found, said in made_from.all(milder):
            rows += found
            costs += said
    return Exported(
        len(gate.images), rows, parity.gate(rows), parity.table(rows), parity.doubts(rows), costs=costs
    )


@dataclass(frozen=True)
class _Files:
    """The files of one network, the trained or a pruned one; `folder` and `into` are those of `export`."""

    session: Session
    base: Base
    gate: Gate
    folder: Path
    into: Path

    def all(self, milder: bool) -> Iterator[tuple[list[parity.ParityRow], list[str]]]:
        """Give for each variant the rows of its files, and what is said of their costs."""
        session, model = self.session, self.base.model
        own = self.gate.outputs if model is session.model else self.answers(model)
        float_ms: dict[str, float] = {}
        for name in chain(self.base.quantize):
            model = made(session, name, model, self.folder)
            found = self.write(name, model, own)
            if milder and fallback.applies(name) and parity.gate(found):
                found, name = fallback.until_it_holds(
                    name,
                    found,
                    layer_errors(model, self.gate.images),
                    write=lambda text: self.write(
                        text, made(session, text, self.base.model, self.folder), own
                    ),
                    drop=lambda stem: _drop(self.into, stem),
                )
            costs: list[str] = []
            for row in found:
                before = float_ms.setdefault(row.format, row.ms_per_image)
                costs += _cost(self.base.model, name, row, before)
            yield found, costs

    def write(self, variant: str, model: keras.Model, own: np.ndarray) -> list[parity.ParityRow]:
        """Write the variant's files of a model, and measure them; `own` are the network's answers."""
        differs = model is not self.base.model and find(variant).promise is Promise.SAME_ANSWERS
        reference = self.answers(model) if differs else own
        formats = chosen(self.session.config.quantize.export_to, "--export-to")
        artefacts = written(model, variant, self.into, card_of(self.session), formats, self.base.stem)
        return [self.gate.row(artefact, model, reference) for artefact in artefacts]

    def answers(self, model: keras.Model) -> np.ndarray:
        """Return a model's outputs for the gate's images."""
        images = self.gate.images.astype("float32")
        return np.asarray(model.predict(images, batch_size=self.session.batch_size, verbose=0))


def _drop(folder: Path, stem: str) -> None:
    """Remove the files of a name, of all formats; some are folders."""
    for path in folder.glob(f"{stem}.*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _cost(model: keras.Model, name: str, row: parity.ParityRow, float_ms: float) -> list[str]:
    """Say what parts that stay float32 in a file cost; nothing where there are none.

    `float_ms` is what an image takes in the file of that format that is float32 altogether.
    """
    variant = find(name)
    cost = variant.cost(model) if variant.cost else None
    return [f"{row.name}: {cost.line(float_ms, row.ms_per_image)}"] if cost else []


def card_of(session: Session) -> Card:
    """Return what the run's files say of themselves; the same for every machine and folder."""
    model, classes = session.model.name, len(session.task.classes)
    told = f"{model}, trained by imgrec on {len(session.source.train):,} images in {classes:,} classes"
    return Card(model, told, session.task, session.preprocess)


def made(session: Session, name: str, model: keras.Model, folder: Path) -> keras.Model:
    """Return the model that the variant `name` exports, made from that of the variant before it."""
    variant = find(name)
    if variant.convert:
        # What was drawn before depends on how often the training was interrupted.
        keras.utils.set_random_seed(session.config.run.seed)
        with scope(session.strategy):
            model = variant.convert(model, calibration_images(session))
        keep_zeros(session, model)
    if variant.fine_tuning:
        fine_tune(session, name, model, folder)
    return model


def written(
    model: keras.Model,
    variant: str,
    folder: Path,
    card: Card,
    formats: Collection[str] = FORMATS,
    stem: str = "",
) -> Iterator[Artefact]:
    """Write the file of each of the `formats` that takes the variant; its name begins with `stem`."""
    made_as = find(variant)
    for name, form in FORMATS.items():
        if name in formats and made_as.arithmetic in form.writers:
            path = folder / f"{stem}{made_as.stem}{form.ending}"
            print(f"exporting {path.name}", flush=True)
            yield Artefact(
                form.writers[made_as.arithmetic](model, path, card), name, variant, made_as.promise
            )


def fine_tune(session: Session, variant: str, model: keras.Model, folder: Path) -> None:
    """Train the variant's model a little longer, in place, on the epochs after the last."""
    settings = session.config.quantize
    optim = short(session, settings.qat_epochs, settings.qat_learning_rate, optimizer="sgd")
    tuning = Tuning(Spec.named(variant).name, find(variant).fine_tuning, optim)
    tune(session, model, tuning, folder, after_tuning(session, variant, PARITY_IMAGES))


def calibration_images(session: Session) -> np.ndarray:
    """Training images as they are shipped to the file, uint8 `[N, H, W, C]`, spread over the split."""
    train = session.source.train
    chosen = spread(len(train), session.config.quantize.calibration_images)
    return load_arrays(train.take(chosen), session.preprocess)
