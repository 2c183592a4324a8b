"""What is watched while a job trains."""

from pathlib import Path
from typing import Any

from imgrec.runs.preview import training_images
from imgrec.runs.session import Job

IMAGES = 16
"""Training images that TensorBoard shows."""


def monitor(job: Job, folder: Path) -> Any:
    """Return the callback that watches the job's model, and put some training images in its log."""
    from imgrec.training.freezing import groups_by_endpoint
    from imgrec.training.monitor import Monitor, log_images

    groups = {
        name: [variable for layer in layers for variable in layer.trainable_variables]
        for name, layers in groups_by_endpoint(job.model).items()
    }
    log = folder / "tensorboard" if job.config.run.tensorboard else None
    if log:
        log_images(log, training_images(job, IMAGES)[0])
    every, accumulate = job.config.run.monitor_every, job.config.optim.accumulate
    return Monitor(groups, every, job.batch_size, accumulate=accumulate, log=log)
