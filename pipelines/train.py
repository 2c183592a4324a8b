"""Train a recogniser and export it: `python -m pipelines.train --data FOLDER`."""

import sys

from imgrec.config import Config
from imgrec.runs.training import train
from pipelines.cli import guarded, parse, recipe_names, take_recipe

DESCRIPTION = f"""Train on a folder of images (or the embedded sample), report, and export TFLite files.

  python -m pipelines.train --data photos/ --out saved_models/photos
  python -m pipelines.train --recipe sample

--recipe NAME|FILE.yaml starts from a recipe instead of the defaults; flags change it further.
Recipes that come with the program: {", ".join(recipe_names())}."""


def main(argv: list[str] | None = None) -> int:
    """Read the flags and run."""
    words = sys.argv[1:] if argv is None else argv
    recipe, rest = take_recipe(words)
    config = parse(Config, rest, default=recipe, prog="python -m pipelines.train", description=DESCRIPTION)
    return train(config, " ".join(["python -m pipelines.train", *words]))


if __name__ == "__main__":
    guarded(main)
