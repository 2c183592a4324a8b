"""Make more images of rare classes: `python -m pipelines.synthesize --data FOLDER --classes NAME`."""

import shlex
import sys
from collections.abc import Sequence

from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks
from imgrec.synthesis.settings import SynthesisSettings
from pipelines.cli import guarded, parse

DESCRIPTION = """Learn from a set's training images what its classes look like, and make more of some.

  python -m pipelines.synthesize --data photos/ --classes lynx --count 500 --out made/
  python -m pipelines.train --data photos/ --extra-data made/

A small conditional GAN learns from all classes, so that a rare one borrows from the others; images have up
to 64 pixels a side. Writes OUT/<class>/00000.png …, sheet.png (true and made ones side by side) and
synthesis.json. Whether they help is to be measured: python -m benchmarks.synthesis does so on the sample."""


def run(settings: SynthesisSettings, command: str = "") -> int:
    """Learn, make images and write them as `settings` say; return 0.

    Raises:
        InputError: bad settings or data, or a loss that is not finite; `settings.out` is then as it was.
    """
    if settings.count < 1:
        raise InputError(f"--count {settings.count}: expected 1 or more")
    if settings.learning_rate <= 0:
        raise InputError(f"--learning-rate {settings.learning_rate:g}: expected more than 0")
    from imgrec.synthesis import folder

    folder.check_out(settings.out)
    import_frameworks()
    from imgrec.synthesis import gan
    from imgrec.synthesis.plan import overview, prepare

    plan = prepare(settings)
    print("\n".join(overview(plan)), flush=True)
    trained = gan.train(plan.source.train, plan.preprocess, len(plan.source.classes), settings.pair)
    made = {n: gan.images(trained.generator, n, settings.count, settings.seed) for n in plan.labels}
    out = folder.write(plan, trained, made, command)
    print(f"done: {out} (look at {out / 'sheet.png'})")
    words = ["python", "-m", "pipelines.train", "--data", settings.data, "--seed", str(settings.seed)]
    if settings.long_tail:
        words += ["--long-tail", f"{settings.long_tail:g}"]
    print(f"use it: {shlex.join([*words, '--extra-data', str(out)])}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    words = list(sys.argv[1:] if argv is None else argv)
    settings = parse(SynthesisSettings, words, prog="python -m pipelines.synthesize", description=DESCRIPTION)
    return run(settings, " ".join(["python -m pipelines.synthesize", *words]))


if __name__ == "__main__":
    guarded(main)
