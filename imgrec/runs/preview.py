"""What can be looked at before anything is trained: what training would see, and which rate it could take."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from imgrec.data.augment.sheet import contact_sheet
from imgrec.errors import InputError
from imgrec.files import write_file
from imgrec.learning import methods
from imgrec.learning.session import Session
from imgrec.places import place_of
from imgrec.training.phase import Solved
from imgrec.training.trials import Sweep, sweep

RATES = 100
"""Batches that the sweep takes, one a rate."""


def preview(session: Session, out: Path) -> int:
    """Write `OUT.preview.png` with the first images of training, augmented and mixed; return 0."""
    count = session.config.run.preview
    path = _saved(contact_sheet(*training_images(session, count)), out, "preview")
    print(f"{count} training images: {path}")
    return 0


def training_images(session: Session, count: int) -> tuple[np.ndarray, list[str]]:
    """Return the first images that training sees, uint8 `[count, H, W, C]`, and what each shows."""
    epochs = math.ceil(count / (session.batch_size * session.steps_per_epoch))
    shown: list[np.ndarray] = []
    titles: list[str] = []
    for images, targets in session.stream(epochs).batches(0):
        shown += list(np.clip(np.rint(images), 0, 255).astype(np.uint8))
        titles += [session.task.caption(target) for target in targets.numpy()]
        if len(shown) >= count:
            break
    return np.stack(shown[:count]), titles[:count]


def lr_find(session: Session, out: Path) -> int:
    """Write `OUT.lr_find.png`, print the rate it suggests, return 0; the weights are as before."""
    optim = session.config.optim
    phases = methods.choose(session.config).phases(session, optim.epochs)
    steps = [phase for phase in phases if not isinstance(phase, Solved)]
    if not steps:
        raise InputError("--lr-find: the head is solved at once, no step has a rate: add --head trained")
    found = sweep(
        session.model,
        steps[0],
        optim=replace(optim, batch_size=session.batch_size),
        loss=session.goal.loss,
        steps=min(RATES, optim.epochs * session.steps_per_epoch),
        strategy=session.strategy,
    )
    said = _said(found, optim.optimizer)
    print(f"{said}\n{_saved(_drawn(found), out, 'lr_find')}")
    return 0


def _said(found: Sweep, optimizer: str) -> str:
    """What a sweep suggests, in one line."""
    if found.suggested is None:
        low = found.rates[0]
        return (
            f"no suggestion: the loss of {optimizer} falls fastest at the lowest rates tried, so the best "
            f"one lies outside of the range: try lower, --learning-rate {low / 10:.0e}"
        )
    least = found.rates[found.losses.argmin()]
    beyond = ", the highest rate tried" if least == found.rates[-1] else ", too high for a whole training"
    return (
        f"suggested: --learning-rate {found.suggested:.2g}, where the loss of {optimizer} falls fastest; it "
        f"is least at {least:.2g}{beyond}"
    )


def _drawn(found: Sweep) -> Figure:
    figure = Figure(figsize=(6, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(found.rates, found.losses)
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss, smoothed")
    if found.suggested is not None:
        axes.axvline(found.suggested, linestyle="--", linewidth=1, label=f"suggested: {found.suggested:.2g}")
        axes.legend(frameon=False)
    return figure


def _saved(figure: Figure, out: Path, kind: str) -> Path:
    path = place_of(out).beside(f"{kind}.png")
    write_file(path, lambda temporary: figure.savefig(temporary, format="png"))
    return path
