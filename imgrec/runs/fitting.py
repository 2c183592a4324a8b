"""The folder that a run is written to, and the training of its model."""

import dataclasses
from pathlib import Path

import keras

from imgrec import bundle
from imgrec.learning import methods
from imgrec.learning.session import Session
from imgrec.runs import results, resume
from imgrec.runs.ahead import after_training
from imgrec.runs.exporting import PARITY_IMAGES
from imgrec.runs.preview import training_images
from imgrec.runs.resume import Unfinished
from imgrec.training.fit import Fitted, Recording, fit_phases
from imgrec.training.freezing import depth_groups
from imgrec.training.monitor import Monitor, log_images
from imgrec.training.watch import Constant, Watch

LOGGED_IMAGES = 16
"""Training images that TensorBoard shows beside what is watched."""


def run_folder(session: Session, out: Path, before: Unfinished | None) -> Path:
    """Return the folder that the run is written to, its inputs recorded in it by the chief.

    Raises:
        InputError: the hosts differ in what they were asked for, or the unfinished run `before` differs.
    """
    team = session.team
    team.same("the command or the data", f"{session.config.flat()} {session.source.fingerprint}")
    team.same("the precision", session.machine["precision"].split()[0])  # auto may choose otherwise elsewhere
    team.same("the unfinished run to go on with", str(before.folder.name) if before else "")
    if before:
        folder = resume.take_up(session, before)
    elif team.is_chief:
        folder = bundle.begin(out)
        results.write_inputs(session, folder)
    else:
        folder = bundle.staging_of(out)
    team.meet()
    return folder


def fit_session(session: Session, folder: Path) -> Fitted:
    """Train the session's model in place, for as long and as fast as its settings say."""
    config, chief = session.config, session.team.is_chief
    callbacks: list[keras.callbacks.Callback] = []
    if config.run.monitor_every:
        callbacks.append(monitor(session, folder))
    if config.run.tensorboard and chief:
        callbacks.append(keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False))
    recording = Recording(
        folder / "history.csv" if chief else None,
        callbacks,
        resume.checkpoint_policy(session, folder, "train"),
        watch(session),
        retry=session.asked.optim.learning_rate == "auto",
        ahead=after_training(session, PARITY_IMAGES),
    )
    return fit_phases(
        session.model,
        methods.choose(config).phases(session, config.optim.epochs),
        optim=dataclasses.replace(config.optim, batch_size=session.batch_size),
        steps_per_epoch=session.steps_per_epoch,
        goal=session.goal,
        strategy=session.strategy,
        recording=recording,
    )


def watch(session: Session) -> Watch:
    """Return the callback that says when the session's training leads nowhere."""
    source, constant = session.source, None
    if session.task.labels == "class" and session.goal.score == "accuracy":
        train, val = (split.counts(len(source.classes)) for split in (source.train, source.val))
        constant = Constant.of(session.goal.loss, train, val, source.classes)
    optim = session.config.optim
    return Watch(constant, len(session.validation_split()), optim.epochs, optim.warmup_epochs)


def monitor(session: Session, folder: Path) -> Monitor:
    """Return the callback that watches the session's model, and put some training images in its log."""
    groups = {
        name: [variable for layer in layers for variable in layer.trainable_variables]
        for name, layers in depth_groups(session.model).items()
    }
    log = folder / "tensorboard" if session.config.run.tensorboard else None
    if log:
        log_images(log, training_images(session, LOGGED_IMAGES)[0])
    every, accumulate = session.config.run.monitor_every, session.config.optim.accumulate
    return Monitor(groups, every, session.batch_size, accumulate=accumulate, log=log)
