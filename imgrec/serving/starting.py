"""From what a user names to how its workers are started."""

from dataclasses import dataclass
from pathlib import Path

from imgrec import bundle, runtimes
from imgrec.errors import InputError
from imgrec.processors import cores
from imgrec.serving.identity import plain
from imgrec.serving.jobs import Plan
from imgrec.serving.predictor import file_answers
from imgrec.store import Store


@dataclass(frozen=True)
class StorePlan:
    """How the workers of every version of a store are started; see `plan_for`."""

    store: Store
    workers: int = 0
    keras: bool = False
    max_pixels: int = 0
    name: str = ""

    def plan_of(self, version: str) -> Plan:
        """Return the plan of a version by its name in the store. Raises InputError as `plan_for`."""
        run = self.store.served(version)
        return plan_for(run, self.workers, self.keras, self.max_pixels, self.name)


def plan_of_either(run: Path, workers: int, keras: bool, max_pixels: int, name: str) -> Plan | StorePlan:
    """Return how to serve a store, or what `plan_for` takes; versions of a store are one model."""
    if run != Path() and Store.is_one(run):
        called = name or plain(run.resolve().name)
        return StorePlan(Store.open(run), workers, keras, max_pixels, called)
    return plan_for(run, workers, keras, max_pixels, name)


def plan_for(run: Path, workers: int = 0, keras: bool = False, max_pixels: int = 0, name: str = "") -> Plan:
    """Return how to serve a run folder or one of its files.

    Args:
        run: a run folder or one of its files.
        workers: 0 for one a processor; for Keras, which uses all processors, 1.
        keras: a run folder answers with its Keras model, even if its float32 file would do.
        max_pixels: of a picture; 0 for what the preprocessing allows.
        name: of the model; empty for that of the run or file.

    Raises:
        InputError: nothing that can be served, or numbers below 0.
    """
    if run == Path():
        raise InputError("no --run: name a run folder or one of its files, such as --run saved_models/sample")
    if workers < 0 or max_pixels < 0:
        raise InputError(f"--workers {workers} --max-pixels {max_pixels}: expected 0 or more")
    whole = runtimes.kind_of(run) == runtimes.RUN
    heavy = whole and (not file_answers(bundle.read(run)) or keras)
    count = workers or (1 if heavy else cores())
    threads = max(1, cores() // count)
    options = ["--threads", str(threads), "--max-pixels", str(max_pixels), "--name", name]
    return Plan(run, count, (*options, *(["--keras"] if keras else [])))
