"""Which learning rate: a sweep over the first training batches, before anything is trained."""

from dataclasses import replace
from pathlib import Path

from imgrec.runs.session import Job

STEPS = 100
"""Batches that the sweep takes, one a rate."""


def lr_find(job: Job, out: Path) -> int:
    """Write `OUT.lr_find.png`, print the rate it suggests, return 0; the weights are as before."""
    from matplotlib.figure import Figure

    from imgrec.files import write_file
    from imgrec.runs.objective import phases
    from imgrec.training.lr_find import sweep

    optim, phase = job.config.optim, phases(job)[0]
    found = sweep(
        job.model,
        phase,
        optim=replace(optim, batch_size=job.batch_size),
        loss=job.objective.loss,
        steps=min(STEPS, phase.until * job.steps_per_epoch),
        layer_decay=job.config.transfer.layer_decay,
        strategy=job.strategy,
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
