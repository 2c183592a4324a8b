"""What is watched while a session trains."""

from pathlib import Path
from typing import Any

from imgrec.learning.session import Session
from imgrec.runs.preview import training_images

IMAGES = 16
"""Training images that TensorBoard shows."""


def monitor(session: Session, folder: Path) -> Any:
    """Return the callback that watches the session's model, and put some training images in its log."""
    from imgrec.training.freezing import groups_by_endpoint
    from imgrec.training.monitor import Monitor, log_images

    groups = {
        name: [variable for layer in layers for variable in layer.trainable_variables]
        for name, layers in groups_by_endpoint(session.model).items()
    }
    log = folder / "tensorboard" if session.config.run.tensorboard else None
    if log:
        log_images(log, training_images(session, IMAGES)[0])
    every, accumulate = session.config.run.monitor_every, session.config.optim.accumulate
    return Monitor(groups, every, session.batch_size, accumulate=accumulate, log=log)
