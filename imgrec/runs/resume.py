"""Going on with a run that did not finish: when that is right, and what is said when it is not."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgrec import bundle, files
from imgrec.config import Config
from imgrec.config.facts import names_that_may
from imgrec.errors import InputError
from imgrec.runs.child import difference

if TYPE_CHECKING:
    from imgrec.learning.session import Session
    from imgrec.training.checkpointing.callback import CheckpointPolicy


_BY_MACHINE = ("precision", "strategy")
"""What `auto` decides for the machine, and not for the run."""


@dataclass(frozen=True)
class Unfinished:
    """A run that left checkpoints."""

    folder: Path
    run: dict[str, Any]
    """Its run.json."""

    @property
    def precision(self) -> str:
        """What it computed in, `auto` decided."""
        return str(self.run["machine"]["precision"]).split()[0]

    def again(self, config: Config) -> Config:
        """Return `config` with what this run had decided in the place of `auto`."""
        decided = _flat(self.run["config"])
        names = [name for name, value in config.flat().items() if value == "auto" and name not in _BY_MACHINE]
        return config.replace(**{name: decided[name] for name in names if name in decided})


def find(out: Path, config: Config) -> Unfinished | None:
    """Return the run to `out` that may go on; None where a new one is to begin.

    Raises:
        InputError: --resume, and there is nothing to go on with.
    """
    settings = config.run
    if settings.resume and settings.restart:
        raise InputError(
            "--resume goes on with an unfinished run, --restart throws it away: name one of them"
        )
    if settings.restart:
        return None
    found = bundle.unfinished(out)
    if found is None and settings.resume:
        raise InputError(f"--resume: no unfinished run with a checkpoint beside {out}; leave out --resume")
    if found is None and bundle.staging_of(out).exists():
        print(f"note: {bundle.staging_of(out)} had not come to a first checkpoint: it begins anew")
    if found and "asked" not in found[1]:
        raise InputError(
            f"{found[0]}: an unfinished run of an earlier version, which cannot go on: name another --out, "
            "or throw it away by --restart"
        )
    return Unfinished(*found) if found else None


def take_up(session: "Session", before: Unfinished) -> Path:
    """Return the folder of the run that goes on, with a line in its run.json that it did.

    Raises:
        InputError: the settings or the data are other ones; the message shows which.
    """
    from imgrec import runtime

    settings = difference(_decisive(_flat(before.run["asked"])), _decisive(session.asked.flat()))
    changed = "; ".join(
        filter(None, [settings, _data_changed(session, before), _teachers_changed(session, before)])
    )
    if changed:
        raise InputError(
            f"{before.folder}: an unfinished run that differs: {changed}. Ask for the same, name "
            "another --out, or throw it away by --restart"
        )
    if not session.team.is_chief:
        return before.folder
    bundle.claim(before.folder)
    versions = runtime.versions()
    old = before.run["versions"]
    moved = [
        f"{name} {old.get(name)} → {versions[name]}" for name in versions if old.get(name) != versions[name]
    ]
    if before.run["machine"]["devices"] != session.machine["devices"]:
        moved.append(f"{before.run['machine']['devices']} → {session.machine['devices']}")
    if moved:
        print(f"note: the run began elsewhere ({', '.join(moved)}): it goes on, but not bit for bit")
    resumed = [*before.run.get("resumed", []), {"versions": versions, "machine": session.machine}]
    files.write_json(before.folder / "run.json", {**before.run, "resumed": resumed})
    return before.folder


def checkpoint_policy(session: "Session", folder: Path, stage: str) -> "CheckpointPolicy":
    """Return where and how often a stage of the run, train or qat, is saved."""
    from imgrec.training.checkpointing.callback import CheckpointPolicy, Interval
    from imgrec.training.checkpointing.store import Checkpoints

    kept = json.dumps(_decisive(session.config.flat()), sort_keys=True)
    facts = {"config": hashlib.sha256(kept.encode()).hexdigest(), "data": session.source.fingerprint}
    interval = Interval.parse(session.config.run.checkpoint_every)
    checkpoints = Checkpoints(folder / bundle.CHECKPOINTS / stage, facts)
    return CheckpointPolicy(checkpoints, interval, session.config.optim.on_nan, session.team)


def _flat(tree: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for part in tree.values() for name, value in part.items()}


def _decisive(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that must stay, as JSON gives them back."""
    free = names_that_may(Config(), "resume")
    return json.loads(json.dumps({name: value for name, value in flat.items() if name not in free}))


def _teachers_changed(session: "Session", before: Unfinished) -> str:
    old, new = before.run.get("teachers", []), session.teachers
    if [each["fingerprint"] for each in old] == [each["fingerprint"] for each in new]:
        return ""
    said = (
        ", ".join(f"{e['path']} ({e['fingerprint'][:12]})" for e in each) or "none" for each in (old, new)
    )
    return "the teachers changed (" + " → ".join(said) + ")"


def _data_changed(session: "Session", before: Unfinished) -> str:
    old = before.run["data"]
    if old["fingerprint"] == session.source.fingerprint:
        return ""
    counts = {name: len(split) for name, split in session.source.splits.items()}
    text = ", ".join(f"{name} {old['images'].get(name)} → {count}" for name, count in counts.items())
    prints = f"{old['fingerprint'][:12]} → {session.source.fingerprint[:12]}"
    return f"the data changed (images: {text}; fingerprint {prints})"
