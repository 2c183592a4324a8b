"""The run folder of an ensemble: made of finished runs, measured, exported and reported as any other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks
from imgrec.runs import beside
from imgrec.runs.ensembles import members as reading
from imgrec.runs.ensembles.members import Member

if TYPE_CHECKING:
    import keras

    from imgrec.data.sources.dataset import Source
    from imgrec.learning.session import Session

How = Literal["soft", "hard", "weighted", "stacking", "soup"]


@dataclass(frozen=True)
class Recipe:
    """What to make of which runs.

    quantize, to: files that are exported, as train takes them; auto: also ptq, where every layer has an int8
        form.
    seed: of the folds in which a fit is judged.
    """

    runs: tuple[Path, ...]
    out: Path
    how: How = "soft"
    quantize: str = "auto"
    to: str = "tflite"
    seed: int = 0


@dataclass(frozen=True)
class _Made:
    """A network made of the members, as `bundle.build` builds it again, and what is said of it."""

    model: "keras.Model"
    recorded: dict[str, Any]
    told: dict[str, Any]
    lines: Sequence[str] = ()


def make(recipe: Recipe, command: str = "") -> int:
    """Put finished runs together as `recipe` says, and write the run folder; return the exit code.

    0: done. 1: an exported file does not answer as the ensemble does (it stays, for inspection).

    Raises:
        InputError: runs that do not go together, data that changed, a fit without images, or a folder that
            may not be written.
    """
    members = reading.read(recipe.runs)
    beside.outside_runs(recipe.out)
    if recipe.out.resolve() in {member.path.resolve() for member in members}:
        raise InputError(f"--out {recipe.out}: is one of the members; name another folder")
    import_frameworks()
    from imgrec import bundle
    from imgrec.runs.made import begin, finish, quantization
    from imgrec.runs.session import read_source

    bundle.check_out(recipe.out)
    config = _config(members, recipe)
    source = read_source(config)
    reading.check_data(members, source)
    for note in source.notes:
        print(f"note: {note}")
    count = sum(len(member.runs) for member in members)
    print(f"{recipe.how} of {len(members)} members, {count} networks, on {source.name}", flush=True)
    models = [[bundle.build_trained(run) for run in member.runs] for member in members]
    made = (_soup if recipe.how == "soup" else _vote)(recipe, members, models, source, config)
    for line in made.lines:
        print(line, flush=True)
    config = _calibrated(config, made).replace(quantize=quantization(recipe.quantize, made.model))
    session = _session(made, members[0], source, config, command)
    return finish(session, begin(session, {"ensemble": made.told}, recipe.out), recipe.out)


def _config(members: Sequence[Member], recipe: Recipe) -> Config:
    """Return the settings that run.json has: a member's, but for what is the ensemble's own."""
    config = reading.whole(members)
    own: dict[str, Any] = {"out": str(recipe.out), "export_to": recipe.to, "prune": "none", "members": 0}
    if recipe.how != "soup":
        own |= {"model": "ensemble"}
    return config.replace(**own)


def _calibrated(config: Config, made: _Made) -> Config:
    """Return the settings, without calibration where its images have fitted many weights already.

    Stacking has a weight for each class, network and output: what it says of the images that fitted these is
    surer than what it says of others, and thresholds from them would promise too much.
    """
    if made.told["how"] != "stacking" or made.told["origin"] != reading.VALIDATION:
        return config
    print("note: not calibrated, no sets: the validation images fitted the stacking, see docs/ensembles.md")
    return config.replace(calibrate="none", prediction_sets="none", abstain="none")


def _vote(
    recipe: Recipe,
    members: Sequence[Member],
    models: Sequence[Sequence["keras.Model"]],
    source: "Source",
    config: Config,
) -> _Made:
    """Put the members into one network."""
    from imgrec import bundle
    from imgrec.models.ensemble import NAME, put_members
    from imgrec.runs.ensembles import fitting

    task, flat = members[0].runs[0].task, [model for group in models for model in group]
    fitted, lines = fitting.Fit(), list[str]()
    if recipe.how in fitting.FITTED:
        known = fitting.answers(models, members, source, int(config.optim.batch_size))
        fitted = fitting.fit(recipe.how, known, recipe.seed)
        lines = fitting.said(recipe.how, fitted, members)
    options = {"how": recipe.how, "groups": [len(group) for group in models], "activation": task.activation}
    recorded = {
        "name": NAME,
        "input_shape": list(flat[0].input_shape[1:]),
        "num_classes": task.outputs,
        "options": options,
        "members": [run.run["model"] for member in members for run in member.runs],
    }
    model = bundle.build(recorded)
    put_members(model, flat, fitted.weights)
    told = {"how": recipe.how, "members": reading.record_of(members), **fitted.told}
    return _Made(model, recorded, told, lines)


def _soup(
    recipe: Recipe,
    members: Sequence[Member],
    models: Sequence[Sequence["keras.Model"]],
    source: "Source",
    config: Config,
) -> _Made:
    """Average the members' weights, greedily by the validation images."""
    from imgrec import bundle
    from imgrec.evaluation.subject import Subject
    from imgrec.runs.ensembles import soup

    first = members[0].runs[0]
    recorded = first.run["model"]
    for member in members:
        if member.is_crossed:
            raise InputError(
                f"{member.path}: is a cross-validation: its folds' validation images taught the others"
            )
        if member.runs[0].run["model"] != recorded:
            raise InputError(
                f"{member.path}: is not the network that {first.path} is; a soup is of one architecture"
            )
    model = bundle.build(recorded)
    subject = Subject(model, first.task, first.preprocess, int(config.optim.batch_size))

    def score(weights: soup.Weights) -> float:
        model.set_weights(weights)
        outputs = subject.answers(source.val)
        return float(first.task.right(first.task.scores(outputs), source.val.labels).mean())

    made = soup.greedy([group[0].get_weights() for group in models], score)
    model.set_weights(made.weights)
    taken = ", ".join(f"{members[number].path.name} {made.scores[number]:.4f}" for number in made.taken)
    line = (
        f"soup of {len(made.taken)} of {len(members)}: {taken}; {made.score:.4f} on {len(source.val):,} "
        "validation images"
    )
    told = {"how": "soup", "members": reading.record_of(members), **made.record()}
    return _Made(model, recorded, told, [line])


def _session(made: _Made, first: Member, source: "Source", config: Config, command: str) -> "Session":
    """Return the ensemble as a run that stands at the end of its training."""
    from imgrec.bundle import LoadedBundle
    from imgrec.runs.finished import Finished

    run = {**first.runs[0].run, "model": made.recorded}
    task = first.runs[0].task.plain  # how sure it may be is not what its members may
    held = LoadedBundle(first.path, first.runs[0].preprocess, task, {}, run, made.model)
    return Finished(held, config).session(source, command)
