"""From settings to everything a training needs: data, model, devices; and the overview of it."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imgrec.config import Config, LossConfig, TransferConfig
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources.load import Source
from imgrec.errors import InputError
from imgrec.runs import checks, objective
from imgrec.runs.objective import Objective
from imgrec.runs.plan import Plan, make_plan
from imgrec.workers import Team


@dataclass(frozen=True)
class Job:
    """A training that is ready to start."""

    config: Config
    source: Source
    preprocess: Preprocess
    recorded_model: dict[str, Any]
    model: Any
    strategy: Any
    batch_size: int
    steps_per_epoch: int
    machine: dict[str, str]
    command: str
    objective: Objective
    cache: Any
    """The decoded images that are kept in memory, an `imgrec.data.cache.Cache`."""
    team: Team = field(default_factory=Team)
    """Those who train; more than one under `--strategy multiworker`."""
    notes: tuple[str, ...] = ()
    """What the user should hear about, one line each."""

    def training_stream(
        self,
        epochs: int,
        first_epoch: int = 0,
        visibility: bool = False,
        views: bool = False,
        sampling: str = "",
    ) -> Any:
        """Batches of `epochs` × `steps_per_epoch` steps, augmented and mixed, as a `Stream`.

        `visibility` and `views` are those of `data.pipeline.training_dataset`; `sampling` by default that of
        the whole training.
        """
        from imgrec.data.pipeline import images_of_step, training_dataset
        from imgrec.training.phase import Stream

        split, classes, seed = self.source.train, len(self.source.classes), self.config.run.seed
        kind = sampling or self.objective.balance.sampling
        first, steps = first_epoch * self.steps_per_epoch, epochs * self.steps_per_epoch

        def batches(done: int) -> Any:
            return training_dataset(
                split,
                self.preprocess,
                classes,
                self.config.augment,
                batch_size=self.batch_size,
                seed=seed,
                start_step=first + done,
                steps=steps - done,
                visibility=visibility,
                views=views,
                sampling=kind,
                cache=self.cache,
            )

        def images(step: int) -> list[str]:
            return images_of_step(split, classes, self.batch_size, seed, kind, first + step)

        return Stream(batches, images)

    def validation_dataset(self) -> Any:
        """The validation images once, in order, as they are."""
        from imgrec import runtime
        from imgrec.data.pipeline import evaluation_dataset

        classes, split = len(self.source.classes), self.source.val
        even = runtime.even_images(len(split), self.strategy)
        if even < len(split):
            split = split.take(np.arange(even))
        return evaluation_dataset(split, self.preprocess, classes, self.batch_size, self.cache)


def prepare(config: Config, command: str, precision: str = "", batch_size: int = 0) -> Job:
    """Read and check the data, build the model, print the overview.

    A run that goes on has the `command` it began with, and `precision` and `batch_size` stand for those of
    `config` where it had decided `auto`.

    Raises:
        InputError: bad settings or data, or a layer that the asked quantisation does not cover.
    """
    from imgrec import runtime
    from imgrec.data.cache import Cache
    from imgrec.data.order.sampling import order_of
    from imgrec.data.pipeline import steps_per_epoch
    from imgrec.training.optim import optimizers

    optimizers.check(config.optim)
    checks.check(config)
    strategy, devices = runtime.choose_strategy(config.run.strategy)
    optimizers.check(config.optim, strategy)
    source = _source(config)
    runtime.seed_everything(config.run.seed)
    if config.run.deterministic:
        runtime.use_deterministic_operations()
    config = objective.for_labels(config, source)
    aims = objective.decide(config, source)
    shown = order_of(source.train.labels, len(source.classes), aims.balance.sampling, config.run.seed).size
    plan = make_plan(config, source)
    chosen = runtime.set_precision(precision or config.run.precision)
    machine = {"precision": chosen, "devices": devices}
    model, about_weights = _build(config, plan, strategy)
    wanted = config.optim.batch_size
    if wanted == "auto":
        wanted = batch_size or _measured(model, config, shown, strategy)
    batch_size = runtime.even_batch(wanted, shown, strategy)
    job = Job(
        plan.config.replace(batch_size=wanted),
        source,
        plan.preprocess,
        plan.model,
        model,
        strategy,
        batch_size,
        steps_per_epoch(shown, batch_size),
        machine,
        command,
        aims,
        Cache(config.data.cache),
        Team(strategy),
        (*source.notes, *about_weights, *([aims.balance.note] if aims.balance.note else [])),
    )
    _introduce(job)
    return job


def _source(config: Config) -> Source:
    """Load the data, and cut its long tail where one is asked for.

    Raises:
        InputError: the data is bad, or a class name cannot stand in labels.txt.
    """
    from imgrec.data.sources.load import load_source
    from imgrec.data.sources.long_tail import long_tailed

    source = load_source(config.data, config.run.seed)
    if config.data.long_tail:
        source = long_tailed(source, config.data.long_tail, config.run.seed)
    for name in source.classes:
        if "\n" in name:
            raise InputError(f"class name {name!r} holds a line break, and labels.txt has one name a line")
    return source


def _introduce(job: Job) -> None:
    """Print notes and the overview."""
    from imgrec import runtime

    for note in job.notes:
        print(f"note: {note}")
    images = len(job.source.val)
    left_out = images - runtime.even_images(images, job.strategy)
    if left_out:
        print(f"note: {left_out} validation images are left out, so that they split evenly over the devices")
    print(overview(job), flush=True)


def _measured(model: Any, config: Config, images: int, strategy: Any) -> int:
    """Choose the batch size, and say by what."""
    from imgrec.training import batch_size

    print("--batch-size auto: timing steps of 16 images and more", flush=True)
    trials = batch_size.find(model, config.optim, images, strategy)
    if not trials:
        raise InputError("--batch-size auto: not even 16 images fit the device's memory; name fewer")
    chosen = batch_size.choose(trials)
    seen = ", ".join(f"{trial.size}: {trial.images_per_second:,.0f}" for trial in trials)
    print(f"--batch-size {chosen} (images a second at {seen})", flush=True)
    return chosen


def alone(job: Job) -> Job:
    """Return the job as its chief goes on with it after training: on one host, with a model of its own.

    Answers of a model under a strategy of several hosts need all of them.
    """
    if job.team.size == 1:
        return job
    import keras

    model = keras.models.clone_model(job.model)
    model.set_weights(job.model.get_weights())
    return dataclasses.replace(job, model=model, strategy=None, team=Team())


def _build(config: Config, plan: Plan, strategy: Any) -> tuple[Any, tuple[str, ...]]:
    """Build the planned model with the weights it starts from; return it and what to say about them."""
    from imgrec import runtime
    from imgrec.models import build_model

    recorded = plan.model
    with runtime.scope(strategy):
        model = build_model(
            recorded["name"],
            input_shape=tuple(recorded["input_shape"]),
            num_classes=recorded["num_classes"],
            **recorded["options"],
        )
    if config.quantize.quantize != "none":
        from imgrec.compression import qat

        qat.check(model)
    if config.optim.mask_loss:
        from imgrec.layers.occlusion import mask_of

        mask_of(model)  # now rather than at the start of training: names what is missing
    if config.transfer.weights == "none":
        return model, ()
    from imgrec.learning import transfer

    return model, (transfer.load_weights(model, config.transfer.weights), *transfer.notes(config))


def overview(job: Job) -> str:
    """What is about to happen, on one screen: data, model and settings."""
    from imgrec.learning import transfer
    from imgrec.training.optim import optimizers

    config, source = job.config, job.source
    optim, augment, height = config.optim, config.augment, job.preprocess.size[0]
    names = ", ".join([*source.classes[:6], *(["…"] if len(source.classes) > 6 else [])])
    parameters = sum(math.prod(v.shape) for v in job.model.trainable_variables)
    mixing = [f"{k} α={v:g}" for k, v in (("Mixup", augment.mixup), ("CutMix", augment.cutmix)) if v]
    erasing = [f"erasing {augment.erasing:g}"] if augment.erasing else []
    flags = [f"crop: {augment.crop}", *(["flip"] if augment.flip else [])]
    changes = [*([augment.augment] if augment.augment else flags), *erasing, *mixing]
    options = " ".join(config.model.model_options)
    counts = f"{len(source.train):,} train, {len(source.val):,} validation, {len(source.test):,} test"
    rows = {
        "data": f"{source.name}: {counts} images",
        "classes": f"{len(source.classes)}: {names}",
        "input": f"{height} × {height} {job.preprocess.colour}, resize: {job.preprocess.resize}",
        **({"adaptation": job.preprocess.adapt} if job.preprocess.adapts else {}),
        "model": f"{job.recorded_model['name']} {options}".strip() + f", {parameters:,} trainable parameters",
        **({"transfer": transfer.summary(config)} if config.transfer != TransferConfig() else {}),
        **({"loss": objective.summary(config, job.objective)} if config.loss != LossConfig() else {}),
        "training": f"{optim.epochs} epochs × {job.steps_per_epoch} steps of {job.batch_size} images",
        "optimiser": optimizers.summary(optim),
        "augmentation": ", ".join(changes),
        "precision": job.machine["precision"],
        "devices": job.machine["devices"],
        "export": f"TFLite: {' + '.join(_files(config.quantize.quantize))}",
        "seed": str(config.run.seed),
        "result": f"{config.run.out} (while running: {config.run.out}.unfinished)",
    }
    return "\n".join(f"{name:>13}  {text}" for name, text in rows.items()) + "\n"


def _files(quantize: str) -> list[str]:
    count = {"none": 1, "ptq": 2, "qat": 3}[quantize]
    return ["float32", "post-training int8", "quantisation-aware int8"][:count]
