"""From settings to everything a training needs: data, task, model, devices; and the overview of it."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import keras

from imgrec import bundle, runtime
from imgrec.compression import variants
from imgrec.compression.pruning import prunings
from imgrec.config import AugmentConfig, Config, LossConfig, QuantizeConfig
from imgrec.config.facts import check_bounds
from imgrec.data import adapt
from imgrec.data.augment import compose
from imgrec.data.cache import Cache
from imgrec.data.order.sampling import order_of
from imgrec.data.pipeline import steps_per_epoch
from imgrec.data.sources.dataset import Source
from imgrec.data.sources.load import load_source
from imgrec.data.sources.long_tail import long_tailed
from imgrec.errors import InputError
from imgrec.export import formats
from imgrec.learning import conflicts, imbalance, methods, teachers, transfer
from imgrec.learning.imbalance import Balance
from imgrec.learning.method import Method
from imgrec.learning.session import Session
from imgrec.runs import calibrating, deciding
from imgrec.runs.plan import Plan, make_plan
from imgrec.runs.resume import Unfinished
from imgrec.spec import Spec
from imgrec.tasks import choose as choose_task
from imgrec.tasks.task import Task
from imgrec.training import trials
from imgrec.training.checkpointing.callback import Interval
from imgrec.training.optim import optimizers
from imgrec.training.phase import Goal
from imgrec.workers import Team


def prepare(config: Config, command: str, before: Unfinished | None = None) -> Session:
    """Read and check the data, decide what is left to `auto`, build the model, print the overview.

    A run that goes on, `before`, has the command it began with, and what it had decided.

    Raises:
        InputError: bad settings or data, or a layer that the asked quantisation does not cover.
    """
    asked, given = config, before.again(config) if before else config
    strategy, devices = _checked(given)
    source = read_source(given)
    keras.utils.set_random_seed(given.run.seed)
    if given.run.deterministic:
        runtime.use_deterministic_operations()
    task = choose_task(given.data.task, source.train.kind, source.classes)
    config = deciding.network(given, source, task)
    method = methods.choose(config)
    conflicts.check(config, method)
    conflicts.check_task(config, task)
    method.check_source(source)
    calibrating.check(config, task, len(source.val))
    taught_by = tuple(method.teachers(config, task))
    goal, balance = decide(config, source, task)
    shown = order_of(source.train.labels, balance.sampling, config.run.seed).size
    plan = make_plan(deciding.numbers(config, shown), source, task)
    conflicts.check(plan.config, method)
    optimizers.check(plan.config.optim)
    chosen = runtime.set_precision(before.precision if before else config.run.precision)
    model, about_weights = _build(asked, plan, strategy, method)
    config, shortened = _in_time(given, plan, model, strategy, source, method)
    why = deciding.why(asked, config, source)
    if config.optim.batch_size == "fastest":
        config = config.replace(batch_size=_measured(model, config, shown, strategy))
    batch_size = runtime.even_batch(int(config.optim.batch_size), shown, strategy)
    told = [*source.notes, *teachers.notes(taught_by, source), why, *about_weights, balance.note, shortened]
    session = Session(
        config=config,
        asked=asked,
        source=source,
        preprocess=plan.preprocess,
        task=task,
        recorded_model=plan.model,
        model=model,
        goal=goal,
        balance=balance,
        strategy=strategy,
        batch_size=batch_size,
        steps_per_epoch=steps_per_epoch(shown, batch_size),
        machine={"precision": chosen, "devices": devices},
        command=before.run["command"] if before else command,
        cache=Cache(config.data.cache),
        team=Team(strategy),
        notes=tuple(filter(None, told)),
        teachers=taught_by,
    )
    _introduce(session)
    return session


def _checked(config: Config) -> tuple[Any, str]:
    """Refuse what is wrong whatever the data; return the strategy, and the devices in words."""
    optimizers.check(config.optim)
    check(config)
    conflicts.check(config, methods.choose(config))
    strategy, devices = runtime.choose_strategy(config.run.strategy)
    optimizers.check(config.optim, strategy)
    return strategy, devices


def _in_time(
    given: Config, plan: Plan, model: keras.Model, strategy: Any, source: Source, method: Method
) -> tuple[Config, str]:
    """Return the settings with the epochs that --minutes leave time for, and a note where those are fewer."""
    config = plan.config
    open_ended = not config.run.minutes or config.run.strategy == "multiworker"  # hosts would differ in it
    if open_ended or given.optim.epochs != "auto" or config.optim.epochs == 1:
        return plan.config, ""
    forward = trials.seconds_forward(model)
    shorter, _ = deciding.within(given, config, forward, deciding.STEP * forward, source)
    if shorter.optim.epochs == 1:  # not even at the cost that a step has at least: no need to time one
        return deciding.within(given, config, forward, deciding.STEP * forward, source)
    print("timing a training step", flush=True)
    batch = config.optim.batch_size
    step = trials.seconds_step(model, config.optim, batch if isinstance(batch, int) else 16, strategy)
    step += method.seconds_beside(config)
    return deciding.within(given, config, forward, step, source)


def check(config: Config) -> None:
    """Refuse lines that cannot be read, and numbers out of bounds, before any data is read.

    Which settings go together is a matter of `learning.conflicts`.

    Raises:
        InputError: names the setting and what was expected.
    """
    check_bounds(config)
    if config.quantize.quantize != "auto":
        variants.chain(config.quantize.quantize)
    prunings.read(config.quantize.prune)
    adapt.parse(config.data.adapt)
    Interval.parse(config.run.checkpoint_every)
    formats.chosen(config.quantize.export_to, "--export-to")
    if config.augment.augment:
        compose.parse(config.augment.augment)
    calibrating.read_abstain(config.calibration.abstain)
    if config.run.monitor_every and runtime.backend() != "tensorflow":
        raise InputError(f"--monitor-every: written for TensorFlow, and the backend is {runtime.backend()}")


def decide(config: Config, source: Source, task: Task) -> tuple[Goal, Balance]:
    """Return what is minimised, and what is done about classes of unequal size.

    Raises:
        InputError: an unknown loss, recipe or option, or a loss that is not for this task.
    """
    counts = source.train.counts(len(source.classes))
    if "imbalance" in task.refuses:  # which classes there are more of is no question to such labels
        balance = Balance("none", tuple(counts.tolist()))
    else:
        recipe = Spec.named(config.loss.imbalance, "--imbalance")
        asked = Spec.named(config.loss.loss, "--loss")
        balance = imbalance.choose(recipe.name, recipe.options, counts, source.classes, asked.name)
    loss = balance.loss(task.loss, config.loss.loss, config.optim.label_smoothing)
    score = task.score if balance.recipe == "none" else "balanced_accuracy"
    return Goal(loss, score, lambda: task.metrics(score)), balance


def read_source(config: Config) -> Source:
    """Load the data, and cut its long tail where one is asked for.

    Raises:
        InputError: the data is bad.
    """
    source = load_source(config.data, config.split_seed)
    if config.data.long_tail:
        source = long_tailed(source, config.data.long_tail, config.split_seed)
    return source


def _introduce(session: Session) -> None:
    """Print notes and the overview."""
    for note in session.notes:
        print(f"note: {note}")
    left_out = len(session.source.val) - len(session.validation_split())
    if left_out:
        print(f"note: {left_out} validation images are left out, so that they split evenly over the devices")
    print(overview(session), flush=True)


def _measured(model: keras.Model, config: Config, images: int, strategy: Any) -> int:
    """Choose the batch size, and say by what."""
    print("--batch-size fastest: timing steps of 16 images and more", flush=True)
    found = trials.time_sizes(model, config.optim, images, strategy)
    if not found:
        raise InputError("--batch-size fastest: not even 16 images fit the device's memory; name fewer")
    chosen = trials.fastest(found)
    seen = ", ".join(f"{trial.size}: {trial.images_per_second:,.0f}" for trial in found)
    print(f"--batch-size {chosen} (images a second at {seen})", flush=True)
    return chosen


def for_measuring(session: Session) -> Session:
    """Return the session as its chief goes on with it after training: in float32, on one host.

    Answers of a model under a strategy of several hosts need all of them; and what is shipped computes in
    float32, so that a model that learned in bfloat16 or float16 is measured and saved in float32 too. Its
    weights were float32 all the time.
    """
    keras.config.set_dtype_policy("float32")  # of all that is built from here on, fine-tuning included
    many = session.team.size > 1
    if not many and all(layer.compute_dtype == "float32" for layer in session.model.layers):
        return session
    strategy = None if many else session.strategy
    with runtime.scope(strategy):
        model = bundle.build(session.recorded_model)
    model.set_weights(session.model.get_weights())
    return dataclasses.replace(session, model=model, strategy=strategy, team=Team(strategy))


def _build(asked: Config, plan: Plan, strategy: Any, method: Method) -> tuple[keras.Model, tuple[str, ...]]:
    """Build the planned model with the weights it starts from; return it and what to say about them."""
    with runtime.scope(strategy):
        model = bundle.build(plan.model)
    # Now rather than after the training: names what is not covered, or missing.
    variants.check(plan.config.quantize.quantize, model)
    if asked_pruning := prunings.read(plan.config.quantize.prune):
        asked_pruning.pruning.check(model)
    method.check(plan.config, model)
    if plan.config.transfer.weights == "none":
        return model, ()
    said = transfer.load_weights(model, plan.config.transfer.weights)
    return model, (said, *transfer.notes(plan.config.replace(crop=asked.augment.crop)))


def _exports(settings: QuantizeConfig) -> str:
    names = formats.chosen(settings.export_to, "--export-to")
    titles = (each.title for each in variants.steps(settings.quantize))
    return f"{', '.join(formats.FORMATS[name].title or name for name in names)}: {' + '.join(titles)}"


def overview(session: Session) -> str:
    """What is about to happen, on one screen: data, model and settings."""
    config, source = session.config, session.source
    optim, height = config.optim, session.preprocess.size[0]
    names = ", ".join([*source.classes[:6], *(["…"] if len(source.classes) > 6 else [])])
    parameters = sum(math.prod(v.shape) for v in session.model.trainable_variables)
    counts = f"{len(source.train):,} train, {len(source.val):,} validation, {len(source.test):,} test"
    rows = {
        "data": f"{source.name}: {counts} images",
        "classes": f"{len(source.classes)}: {names}",
        "input": f"{height} × {height} {session.preprocess.colour}, resize: {session.preprocess.resize}",
        **({"adaptation": session.preprocess.adapt} if session.preprocess.adapts else {}),
        "model": f"{config.model.model}, {parameters:,} trainable parameters",
        **({"transfer": transfer.summary(config)} if config.transfer.weights != "none" else {}),
        **({"learning": _learning(session)} if config.loss != LossConfig() else {}),
        "training": _training(session),
        **({} if _head_alone(config) else {"optimiser": optimizers.summary(optim)}),
        "augmentation": _augmentation(config.augment),
        "precision": session.machine["precision"],
        "devices": session.machine["devices"],
        "export": _exports(config.quantize),
        "auto": deciding.shown(session.asked, config),
        "seed": str(config.run.seed),
        "result": f"{config.run.out} (while running: {bundle.staging_of(Path(config.run.out))})",
    }
    return "\n".join(f"{name:>13}  {text}" for name, text in rows.items()) + "\n"


def _head_alone(config: Config) -> bool:
    """Whether no step is taken: the head is solved, and nothing else learns."""
    return config.transfer.head == "solved" and not config.transfer.unfreeze_at


def _training(session: Session) -> str:
    """How long, in one line."""
    epochs, transfer = session.config.optim.epochs, session.config.transfer
    steps = f"{session.steps_per_epoch} steps of {session.batch_size} images"
    if transfer.head != "solved":
        return f"{epochs} epochs × {steps}"
    more = f", then {epochs - transfer.unfreeze_at} epochs × {steps}" if transfer.unfreeze_at else ""
    return f"the head is solved{more}"


def _learning(session: Session) -> str:
    """The task, the losses and the recipe in one line."""
    settings, balance = session.config.loss, session.balance
    loss = "its own loss" if settings.loss == "auto" else settings.loss
    parts = [f"{session.task.name}: {loss}"]
    parts += [settings.method] if settings.method != "auto" else []
    if settings.embedding_loss != "none":
        parts.append(f"{settings.embedding_weight:g} × {settings.embedding_loss}")
    if settings.augmix_consistency:
        parts.append(f"{settings.augmix_consistency:g} × AugMix consistency")
    parts += [f"taught by {each['path']} ({each['model']['name']})" for each in session.teachers]
    if balance.recipe != "none":
        values = "".join(f" {name}={value:g}" for name, value in balance.options.items())
        parts.append(f"imbalance: {balance.recipe}{values}")
    return ", ".join(parts)


def _augmentation(augment: AugmentConfig) -> str:
    mixing = [f"{k} α={v:g}" for k, v in (("Mixup", augment.mixup), ("CutMix", augment.cutmix)) if v]
    erasing = [f"erasing {augment.erasing:g}"] if augment.erasing else []
    flags = [f"crop: {augment.crop}", *(["flip"] if augment.flip else [])]
    return ", ".join([*([augment.augment] if augment.augment else flags), *erasing, *mixing])
