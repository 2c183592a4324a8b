"""Which learning rate: a sweep over the first training batches, before anything is trained."""

from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from imgrec.files import write_file
from imgrec.learning import methods
from imgrec.learning.session import Session
from imgrec.training.lr_find import sweep

STEPS = 100
"""Batches that the sweep takes, one a rate."""


def lr_find(session: Session, out: Path) -> int:
    """Write `OUT.lr_find.png`, print the rate it suggests, return 0; the weights are as before."""
    optim = session.config.optim
    phase = methods.choose(session.config).phases(session, optim.epochs)[0]
    found = sweep(
        session.model,
        phase,
        optim=replace(optim, batch_size=session.batch_size),
        loss=session.goal.loss,
        steps=min(STEPS, phase.until * session.steps_per_epoch),
        strategy=session.strategy,
    )
    figure = Figure(figsize=(6, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(found.rates, found.losses)
    axes.axvline(found.suggested, linestyle="--", linewidth=1, label=f"suggested: {found.suggested:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss, smoothed")
    axes.legend(frameon=False)
    path = out.with_name(f"{out.name}.lr_find.png")
    write_file(path, lambda temporary: figure.savefig(temporary, format="png"))
    least = found.rates[found.losses.argmin()]
    print(
        f"suggested: --learning-rate {found.suggested:.2g}, where the loss of {optim.optimizer} falls "
        f"fastest; it is least at {least:.2g}, too high for a whole training\n{path}"
    )
    return 0
