"""From settings to everything a training needs: data, model, devices; and the overview of it."""

import math
from dataclasses import dataclass
from typing import Any

from imgrec.config import AugmentConfig, Config, LossConfig, TransferConfig
from imgrec.data import adapt
from imgrec.data.preprocess import Preprocess
from imgrec.data.sources import Source
from imgrec.errors import InputError
from imgrec.training.every import Every
from pipelines import objective
from pipelines.objective import Objective
from pipelines.plan import Plan, make_plan


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
    """The decoded pictures that are kept in memory, an `imgrec.data.cache.Cache`."""
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
        from imgrec.data.pipeline import evaluation_dataset

        classes = len(self.source.classes)
        return evaluation_dataset(self.source.val, self.preprocess, classes, self.batch_size, self.cache)


def prepare(config: Config, command: str, precision: str = "") -> Job:
    """Read and check the data, build the model, print the overview.

    `precision` stands for `config.run.precision` where a run that goes on had decided `auto`.

    Raises:
        InputError: bad settings or data, or a layer that the asked quantisation does not cover.
    """
    from imgrec import runtime
    from imgrec.data.cache import Cache
    from imgrec.data.long_tail import long_tailed
    from imgrec.data.pipeline import steps_per_epoch
    from imgrec.data.sampling import order_of
    from imgrec.data.sources import load_source
    from imgrec.training import optimizers

    optimizers.check(config.optim)
    _check(config)
    source = load_source(config.data, config.run.seed)
    if config.data.long_tail:
        source = long_tailed(source, config.data.long_tail, config.run.seed)
    for name in source.classes:
        if "\n" in name:
            raise InputError(f"class name {name!r} holds a line break, and labels.txt has one name a line")
    runtime.seed_everything(config.run.seed)
    if config.run.deterministic:
        runtime.use_deterministic_operations()
    config = objective.for_labels(config, source)
    aims = objective.decide(config, source)
    shown = order_of(source.train.labels, len(source.classes), aims.balance.sampling, config.run.seed).size
    plan = make_plan(config, source)
    strategy, devices = runtime.choose_strategy(config.run.strategy)
    optimizers.check(config.optim, strategy)
    chosen = runtime.set_precision(precision or config.run.precision)
    machine = {"precision": chosen, "devices": devices}
    model, about_weights = _build(config, plan, strategy)
    batch_size = min(config.optim.batch_size, shown)
    job = Job(
        plan.config,
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
        (*source.notes, *about_weights, *([aims.balance.note] if aims.balance.note else [])),
    )
    for note in job.notes:
        print(f"note: {note}")
    print(overview(job), flush=True)
    return job


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
    if config.quantize.quantize == "qat":
        from imgrec.compression import qat

        qat.check(model)
    if config.optim.mask_loss:
        from imgrec.layers.occlusion import mask_of

        mask_of(model)  # now rather than at the start of training: names what is missing
    if config.transfer.weights == "none":
        return model, ()
    from imgrec.learning import transfer

    return model, (transfer.load_weights(model, config.transfer.weights), *transfer.notes(config))


def _check(config: Config) -> None:
    """Refuse numbers that cannot be meant, and unknown adaptive steps, before any data is read."""
    adapt.parse(config.data.adapt)
    Every.parse(config.run.checkpoint_every)
    optim, quantize = config.optim, config.quantize
    positive = {"epochs": optim.epochs, "batch_size": optim.batch_size, "learning_rate": optim.learning_rate}
    positive["calibration_images"] = quantize.calibration_images
    if quantize.quantize == "qat":
        positive |= {"qat_epochs": quantize.qat_epochs, "qat_learning_rate": quantize.qat_learning_rate}
    for name, value in positive.items():
        if value <= 0:
            raise InputError(f"--{name.replace('_', '-')} {value}: expected more than 0")
    for name, share in {
        "label_smoothing": optim.label_smoothing,
        "mix_probability": config.augment.mix_probability,
        "cutmix_share": config.augment.cutmix_share,
        "crop_share": config.augment.crop_share,
        "erasing": config.augment.erasing,
        "erasing_area": config.augment.erasing_area,
    }.items():
        if not 0 <= share <= 1:
            raise InputError(f"--{name.replace('_', '-')} {share}: expected a share from 0 to 1")
    if not 0 <= config.run.preview <= 1000:
        raise InputError(f"--preview {config.run.preview}: expected 1 to 1000 pictures, or 0 to train")
    if config.run.monitor_every < 0:
        raise InputError(f"--monitor-every {config.run.monitor_every}: expected a number of steps, or 0")
    augment = config.augment
    if min(augment.mixup, augment.cutmix, augment.mix_epochs, optim.weight_decay, optim.warmup_epochs) < 0:
        raise InputError(
            "--mixup, --cutmix, --mix-epochs, --weight-decay and --warmup-epochs: expected 0 or more"
        )
    if optim.mask_loss:
        _check_mask_loss(config)
    if augment.augment:
        _check_line(augment)


def _check_line(augment: AugmentConfig) -> None:
    """Refuse a line that cannot be read, or that a flag contradicts."""
    from imgrec.data.augment.compose import parse

    parse(augment.augment)
    if augment.crop not in ("auto", "none"):
        raise InputError(
            f"--crop {augment.crop}: --augment says it all; put crop(pad=4) or resized_crop there"
        )


def _check_mask_loss(config: Config) -> None:
    """Refuse a loss of the occlusion mask that nothing could be learned from."""
    augment, weight = config.augment, config.optim.mask_loss
    if weight < 0:
        raise InputError(f"--mask-loss {weight}: expected 0 or more")
    if not augment.erasing:
        raise InputError(f"--mask-loss {weight}: nothing is hidden without erasing: add --erasing 0.5")
    if (augment.mixup or augment.cutmix) and augment.mix_probability:
        raise InputError(f"--mask-loss {weight}: cannot follow what is hidden in mixed images; use no mixing")
    if config.transfer.freeze != "none":
        raise InputError(f"--mask-loss {weight}: expected a network that learns as a whole: --freeze none")


def overview(job: Job) -> str:
    """What is about to happen, on one screen: data, model and settings."""
    from imgrec.learning import transfer
    from imgrec.training import optimizers

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
