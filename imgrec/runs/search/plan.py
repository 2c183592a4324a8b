"""What all trials of a search have in common, settled before the first."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgrec import places
from imgrec.bundle import staging_of
from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.frameworks import import_frameworks
from imgrec.runs.child import for_one_training
from imgrec.runs.search import study as studies
from imgrec.runs.search.space import Scalar, Space, default_space, read_space

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Search:
    """A search's study, and what is trained in it."""

    study: "optuna.Study"
    space: Space
    default: dict[str, Scalar]
    """The first setting, under the space's names."""
    config: Config
    wanted: int
    monitor: str
    """The column of history.csv that is to be high."""

    @property
    def out(self) -> Path:
        """The folder of the search."""
        return Path(self.config.run.out)

    def folder(self, number: int) -> Path:
        """The run folder of a trial."""
        return self.out / "trials" / f"{number:04d}"

    def discard(self, number: int) -> None:
        """Remove the unfinished run folder of a trial, if there is one."""
        shutil.rmtree(staging_of(self.folder(number)), ignore_errors=True)


def begin(config: Config, wanted: int, space_file: Path, storage: str, name: str) -> Search:
    """Check the settings and open the study.

    Args:
        config: the setting that the search begins with; its `out` is the folder of the search.
        wanted: how many trials in all.
        space_file: YAML of what may change; `Path()` for `default_space`.
        storage: URL of the database; empty for one in the folder of the search.
        name: of the study in that database.

    Raises:
        InputError: bad settings, space or storage.
    """
    if wanted < 1:
        raise InputError(f"--trials {wanted}: expected 1 or more")
    for_one_training(config)
    space = None if space_file == Path() else read_space(space_file)
    import_frameworks()
    from imgrec.runs.deciding import for_search

    decided = for_search(config)
    space = space or default_space(decided)
    config = _begun(config, decided, space)
    default = space.values(config)
    out = Path(config.run.out)
    if places.has_content(out) and not (out / "trials").is_dir():
        raise InputError(f"--out {out}: holds something that is no search; name a new folder")
    places.make_folder(out / "trials")
    study = studies.connect(storage or f"sqlite:///{(out / 'study.db').absolute()}", name)
    settings = {key: value for key, value in config.flat().items() if key not in ("out", "quantize", "prune")}
    settings |= {f"space {key}": text for key, text in space.record().items()}
    studies.adopt(study, json.loads(json.dumps(settings)))
    study.pruner = studies.pruner(config.optim.epochs)
    monitor = "val_accuracy" if config.loss.imbalance == "none" else "val_balanced_accuracy"
    return Search(study, space, default, config, wanted, monitor)


def _begun(config: Config, decided: Config, space: Space) -> Config:
    """Return `config` with what is `decided` in the place of `auto` for what the space changes.

    The rest is left to each trial: a rate, say, to the optimiser that it takes. How long is the same for all.
    """
    flat, numbers = config.flat(), decided.flat()
    names = {name.partition(".")[0] for name in space.entries} | {"epochs", "head"}
    return config.replace(**{name: numbers[name] for name in names if flat[name] == "auto"})
