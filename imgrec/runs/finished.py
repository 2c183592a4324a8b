"""A finished run taken up again: its model, its settings and its data, to measure it or to export from it."""

from dataclasses import dataclass
from pathlib import Path

import keras

from imgrec import bundle, runtime
from imgrec.bundle import LoadedBundle
from imgrec.config import Config, from_mapping
from imgrec.data.cache import Cache
from imgrec.data.order.sampling import order_of
from imgrec.data.pipeline import steps_per_epoch
from imgrec.data.sources.dataset import Source
from imgrec.errors import InputError
from imgrec.learning.session import Session
from imgrec.phrases import Phrase
from imgrec.runs.session import decide, for_measuring, read_source


@dataclass(frozen=True)
class Finished:
    """A run folder, its model loaded in float32.

    config: what the run was trained with, every `auto` decided.
    """

    bundle: LoadedBundle
    config: Config

    @property
    def name(self) -> Phrase:
        """The run in a title: its model and its data."""
        run = self.bundle.run
        return Phrase("{model} on {data}", model=run["model"]["name"], data=run["data"]["name"])

    def own_source(self, mend: str = ", or name other data by --data") -> Source:
        """Read the data that the run was trained on.

        Args:
            mend: what else than restoring it may help, for the message.

        Raises:
            InputError: it is not there any more, or other data is.
        """
        source = read_source(self.config)
        was, now = self.bundle.run["data"]["fingerprint"], source.fingerprint
        if was != now:
            raise InputError(
                f"{self.bundle.path}: its data {source.name} changed since the training (fingerprint "
                f"{was[:12]} → {now[:12]}); restore it{mend}"
            )
        return source

    def session(self, source: Source, command: str = "") -> Session:
        """Return the run as it stood at the end of its training, on one device.

        `source` is the run's own, or another with its classes in its order.
        """
        config, task = self.config, self.bundle.task
        keras.utils.set_random_seed(config.run.seed)
        if config.run.deterministic:
            runtime.use_deterministic_operations()
        goal, balance = decide(config, source, task)
        shown = order_of(source.train.labels, balance.sampling, config.run.seed).size
        batch_size = runtime.even_batch(int(config.optim.batch_size), shown, None)
        session = Session(
            config=config,
            asked=config,
            source=source,
            preprocess=self.bundle.preprocess,
            task=task,
            recorded_model=self.bundle.run["model"],
            model=self.bundle.model,
            goal=goal,
            balance=balance,
            strategy=None,
            batch_size=batch_size,
            steps_per_epoch=steps_per_epoch(shown, batch_size),
            machine={"precision": "float32", "devices": "one"},
            command=command,
            cache=Cache(config.data.cache),
        )
        return for_measuring(session)


def open_run(run: Path) -> Finished:
    """Verify and load a run folder.

    Raises:
        InputError: as `bundle.load`.
    """
    loaded = bundle.load(run)
    return Finished(loaded, from_mapping(loaded.config))


def origin(finished: Finished, kind: str, command: str) -> dict[str, object]:
    """Return what run.json of a folder of `kind` begins with: what it came from, and by what."""
    run = finished.bundle.path.resolve()
    return {
        "format": bundle.FORMAT,
        "kind": kind,
        "command": command,
        "run": str(run),
        "run_data": finished.bundle.run["data"],
        "model": finished.bundle.run["model"],
        "versions": runtime.versions(),
    }
