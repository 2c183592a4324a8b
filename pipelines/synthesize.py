"""Make more images of rare classes: `python -m pipelines.synthesize --data FOLDER --classes NAME`."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imgrec.config import DataConfig, Policy
from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks
from imgrec.synthesis.settings import Settings
from pipelines.cli import guarded, parse

if TYPE_CHECKING:
    from imgrec.data.sources.dataset import Source

LARGEST = 64
DESCRIPTION = """Learn from a set's training images what its classes look like, and make more of some.

  python -m pipelines.synthesize --data photos/ --classes lynx --count 500 --out made/
  python -m pipelines.train --data photos/ --extra-data made/

A small conditional GAN learns from all classes, so that a rare one borrows from the others; images have up
to 64 pixels a side. Writes OUT/<class>/00000.png …, sheet.png (true and made ones side by side) and
synthesis.json. Whether they help is to be measured: python -m benchmarks.synthesis does so on the sample."""


@dataclass(frozen=True)
class Arguments:
    """What to learn from, and what to make."""

    data: str = "sample"
    """Where the images are, as for train."""
    classes: str = ""
    """Names of the classes to make images of, joined by commas."""
    count: int = 500
    """Images to make of each of them."""
    out: Path = Path("saved_models/synthesis")
    """Folder of the images; replaced only when it is one of an earlier synthesis, or empty."""
    steps: int = Settings.steps
    """Steps of training, of either network; 2,500 take 5 minutes of one core at 28 pixels."""
    batch_size: int = Settings.batch_size
    """True images, and made ones, a step."""
    learning_rate: float = Settings.discriminator_rate
    """Rate of the discriminator (Adam); the generator's is half of it."""
    sampling: Literal["natural", "sqrt", "balanced"] = "sqrt"
    """How often a class is shown while learning: by its size, the root of it, or all alike."""
    flip: bool = True
    """Mirror true images with probability ½; then made ones look either way as well."""
    image_size: int = 0
    """Side of the images in pixels; 0 takes the data's own size, at most 64."""
    seed: int = 0
    """Seed of the splits, as for train, and of learning and making."""
    long_tail: float = 0.0
    """For experiments, as for train."""
    policy: Policy = "strict"
    """What to do about broken files, as for train."""
    quarantine: str = ""
    """List of images to leave out, as for train."""
    max_pixels: int = DataConfig.max_pixels
    """Images with more pixels than this are refused before they are decoded."""

    @property
    def data_config(self) -> DataConfig:
        """The same as settings of the data; copies are not looked for."""
        return DataConfig(
            data=self.data,
            policy=self.policy,
            quarantine=self.quarantine,
            max_pixels=self.max_pixels,
            audit=False,
        )

    @property
    def settings(self) -> Settings:
        """The same as settings of the pair."""
        return Settings(
            steps=self.steps,
            batch_size=self.batch_size,
            seed=self.seed,
            generator_rate=self.learning_rate / 2,
            discriminator_rate=self.learning_rate,
            sampling=self.sampling,
            flip=self.flip,
        )


def run(arguments: Arguments, command: str = "") -> int:
    """Learn, make images and write them as `arguments` say; return 0.

    Raises:
        InputError: bad settings or data, or a loss that is not finite; `arguments.out` is then as it was.
    """
    from imgrec.synthesis import folder as made

    _check(arguments)
    made.check_out(arguments.out)
    import_frameworks()
    from imgrec.data.preprocess import Preprocess
    from imgrec.data.sources.load import load_source
    from imgrec.data.sources.long_tail import long_tailed
    from imgrec.synthesis import gan

    source = load_source(arguments.data_config, arguments.seed)
    learned_from = source.fingerprint
    if arguments.long_tail:
        source = long_tailed(source, arguments.long_tail, arguments.seed)
    labels = chosen(arguments.classes, source)
    side = arguments.image_size or min(source.side, LARGEST)
    preprocess = Preprocess((side, side), source.colour, max_pixels=arguments.max_pixels)
    for line in overview(arguments, source, labels, side):
        print(line, flush=True)
    trained = gan.train(source.train, preprocess, len(source.classes), arguments.settings)
    images = {
        label: gan.images(trained.generator, label, arguments.count, arguments.seed) for label in labels
    }
    made.write(arguments, source, learned_from, preprocess, trained, images, command)
    print(f"done: {arguments.out} (look at {arguments.out / 'sheet.png'})")
    print(f"use it: {_next(arguments)}")
    return 0


def _check(arguments: Arguments) -> None:
    if arguments.count < 1:
        raise InputError(f"--count {arguments.count}: expected 1 or more")
    if arguments.learning_rate <= 0:
        raise InputError(f"--learning-rate {arguments.learning_rate:g}: expected more than 0")


def chosen(text: str, source: "Source") -> list[int]:
    """Return the class numbers that `text` names, joined by commas, each once.

    Raises:
        InputError: no name, or an unknown one; the known are listed.
    """
    from imgrec.registry import lookup

    known = {name: number for number, name in enumerate(source.classes)}
    if not text.strip():
        counts = source.train.counts(len(known))
        rare = sorted(known, key=lambda name: counts[known[name]])[:5]
        listed = ", ".join(f"{name} ({counts[known[name]]:,})" for name in rare)
        raise InputError(
            f"--classes: name those to make images of, joined by commas; those with the fewest training "
            f"images: {listed}"
        )
    names = [text] if text in known else [part.strip() for part in text.split(",") if part.strip()]
    return list(dict.fromkeys(lookup(known, name, "class in --classes") for name in names))


def overview(arguments: Arguments, source: "Source", labels: Sequence[int], side: int) -> list[str]:
    """What is about to happen, in a few lines."""
    counts = source.train.counts(len(source.classes))
    listed = ", ".join(f"{source.classes[label]} (of {counts[label]:,} training images)" for label in labels)
    lines = [f"note: {note}" for note in source.notes]
    lines.append(f"learning from {len(source.train):,} training images of {len(source.classes)} classes")
    lines.append(f"to make {arguments.count:,} images of {side} × {side}, {source.colour}, of: {listed}")
    if source.side > side:
        lines.append(f"note: the data's own images are larger, {source.side} pixels; these will be enlarged")
    return lines


def _next(arguments: Arguments) -> str:
    """The command that trains with what was made, on the same splits."""
    words = ["python", "-m", "pipelines.train", "--data", arguments.data, "--seed", str(arguments.seed)]
    if arguments.long_tail:
        words += ["--long-tail", f"{arguments.long_tail:g}"]
    return shlex.join([*words, "--extra-data", str(arguments.out)])


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run it."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parse(Arguments, words, prog="python -m pipelines.synthesize", description=DESCRIPTION)
    return run(arguments, " ".join(["python -m pipelines.synthesize", *words]))


if __name__ == "__main__":
    guarded(main)
