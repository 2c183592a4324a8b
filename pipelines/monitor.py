"""What is watched while a job trains."""

from pathlib import Path
from typing import Any

from pipelines.job import Job
from pipelines.preview import training_pictures

PICTURES = 16
"""Training pictures that TensorBoard shows."""


def monitor(job: Job, folder: Path) -> Any:
    """Return the callback that watches the job's model, and put some training pictures in its log."""
    from imgrec.training.freezing import groups_by_endpoint
    from imgrec.training.monitor import Monitor, log_pictures

    groups = {
        name: [variable for layer in layers for variable in layer.trainable_variables]
        for name, layers in groups_by_endpoint(job.model).items()
    }
    log = folder / "tensorboard" if job.config.run.tensorboard else None
    if log:
        log_pictures(log, training_pictures(job, PICTURES)[0])
    every, accumulate = job.config.run.monitor_every, job.config.optim.accumulate
    return Monitor(groups, every, job.batch_size, accumulate=accumulate, log=log)
