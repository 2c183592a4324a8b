"""A deep ensemble by one command: the same settings from several seeds, then put together."""

from pathlib import Path
from typing import Any

from imgrec import bundle
from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.runs import beside, trainings
from imgrec.runs.child import for_one_training
from imgrec.runs.ensembles.making import Recipe, make

KIND = trainings.Kind("members.json", "imgrec members 1", "a set of members")


def place(out: Path) -> Path:
    """Return the folder of the members of an ensemble to `out`: beside it, for a run is sealed."""
    return out.with_name(f"{out.name}.members")


def train_members(config: Config, command: str = "") -> int:
    """Train what is not trained yet, and make the ensemble in `config.run.out`; return the exit code.

    Members differ in their seed alone: all have the splits of the first. Their files are float32; those of
    the ensemble are the ones that the settings ask for. A finished member is not trained again, and more
    members join those that are there.

    Raises:
        InputError: bad settings, or a folder that holds something else.
    """
    count = config.run.members
    if count < 2:
        raise InputError(f"--members {count}: expected 2 or more")
    for_one_training(config)
    out = Path(config.run.out)
    bundle.check_out(out)
    beside.outside_runs(out)
    folder = place(out)
    one = _one(config)
    settings = {name: value for name, value in one.flat().items() if name != "out"}
    trainings.begin(folder, settings, KIND, command)
    runs = []
    for number in range(count):
        seed = config.run.seed + number
        run, title = folder / f"seed-{seed}", f"member {number + 1} of {count}"
        if trainings.is_finished(run, "run", seed=seed):
            print(f"{title}: trained before, {run}", flush=True)
        elif code := trainings.train(one.replace(seed=seed), run, title, "member"):
            return code
        runs.append(run)
    wanted = config.quantize
    return make(Recipe(tuple(runs), out, "soft", wanted.quantize, wanted.export_to, config.run.seed), command)


def _one(config: Config) -> Config:
    """Return the settings of one member, its seed aside: its share of the minutes, float32 files alone."""
    own: dict[str, Any] = {"members": 0, "quantize": "none", "prune": "none", "export_to": "tflite"}
    if config.run.minutes not in ("auto", 0):
        own["minutes"] = float(config.run.minutes) / config.run.members
    return config.replace(**own, split_seed=config.split_seed)
