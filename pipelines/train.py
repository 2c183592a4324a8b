"""Train a recogniser and export it: `python -m pipelines.train --data FOLDER`."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from imgrec.config import Config
from imgrec.frameworks import import_frameworks
from pipelines.cli import guarded, parse, recipe_names, take_recipe

DESCRIPTION = f"""Train on a folder of images (or the embedded sample), report, and export TFLite files.

  python -m pipelines.train --data photos/ --out saved_models/photos
  python -m pipelines.train --recipe sample

--recipe NAME|FILE.yaml starts from a recipe instead of the defaults; flags change it further.
Recipes that come with the program: {", ".join(recipe_names())}."""


def run(config: Config, command: str = "imgrec") -> int:
    """Train, evaluate, export and report as `config` says; return the exit code.

    An unfinished run of the same settings and data goes on where it was saved last.

    0: done. 1: an exported file does not answer as the model does (it stays, for inspection).

    Raises:
        InputError: bad settings or data; `config.run.out` is then as it was.
        WorkerLost: another host of the training does not answer.
    """
    from imgrec import bundle, files, runtime
    from imgrec.runs import resume

    out = Path(config.run.out)
    bundle.check_out(out)
    before = resume.find(out, config)
    import_frameworks()
    from imgrec.runs import results as outcome
    from imgrec.runs.exporting import export
    from imgrec.runs.handover import hand_over
    from imgrec.runs.session import alone, prepare

    begun = (before.run["command"], before.precision, before.batch_size) if before else (command,)
    job = prepare(config, *begun)
    if config.run.preview:
        from imgrec.runs.preview import preview

        return preview(job, out)
    if config.run.lr_find:
        from imgrec.runs.lr_find import lr_find

        return lr_find(job, out)
    with job.team.together():
        folder = _folder(job, out, before)
        fitted = _fit(job, folder)
    if not job.team.is_chief:
        print(f"\nworker {job.team.index}: done; worker 0 measures, exports and writes {out}", flush=True)
        return 0
    if runtime.backend() != "tensorflow":
        return hand_over(job, folder, out)
    job = alone(job)
    print(f"\nbest epoch: {fitted.best_epoch}; measuring on {len(job.source.test):,} test images", flush=True)
    files.write_file(folder / "model.keras", lambda path: job.model.save(path))
    result = outcome.evaluate(job, folder)
    exported = export(job, folder, result.logits)
    outcome.write_results(job, folder, fitted, result, exported)
    bundle.finish(folder, out)
    return outcome.announce(out, result, exported)


def _folder(job: Any, out: Path, before: Any) -> Path:
    """Return the folder that the run is written to, its inputs recorded in it by the chief."""
    from imgrec import bundle
    from imgrec.runs import results as outcome
    from imgrec.runs import resume

    job.team.same("the command or the data", f"{job.config.flat()} {job.source.fingerprint}")
    job.team.same("the precision", job.machine["precision"].split()[0])  # auto may choose otherwise elsewhere
    job.team.same("the unfinished run to go on with", str(before.folder.name) if before else "")
    if before:
        folder = resume.take_up(job, before)
    elif job.team.is_chief:
        folder = bundle.begin(out)
        outcome.write_inputs(job, folder)
    else:
        folder = bundle.staging_of(out)
    job.team.meet()
    return folder


def _fit(job: Any, folder: Path) -> Any:
    """Train the job's model in place, for as long and as fast as its settings say."""
    import keras

    from imgrec.runs import resume
    from imgrec.runs.monitoring import monitor
    from imgrec.runs.objective import phases
    from imgrec.training.fit import fit_phases

    optim = job.config.optim
    callbacks: list[Any] = []
    if job.config.run.monitor_every:
        callbacks.append(monitor(job, folder))
    if job.config.run.tensorboard and job.team.is_chief:
        callbacks.append(keras.callbacks.TensorBoard(str(folder / "tensorboard"), write_graph=False))
    return fit_phases(
        job.model,
        phases(job),
        optim=dataclasses.replace(optim, batch_size=job.batch_size),
        steps_per_epoch=job.steps_per_epoch,
        layer_decay=job.config.transfer.layer_decay,
        loss=job.objective.loss,
        score=job.objective.score,
        strategy=job.strategy,
        history_path=folder / "history.csv" if job.team.is_chief else None,
        callbacks=callbacks,
        policy=resume.checkpoint_policy(job, folder, "train"),
    )


def main(argv: list[str] | None = None) -> int:
    """Read the flags and run."""
    words = sys.argv[1:] if argv is None else argv
    recipe, rest = take_recipe(words)
    config = parse(Config, rest, default=recipe, prog="python -m pipelines.train", description=DESCRIPTION)
    return run(config, " ".join(["python -m pipelines.train", *words]))


if __name__ == "__main__":
    guarded(main)
