"""Several trainings one after the other, of one command: begun, told from others', gone on with."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgrec import bundle, places
from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.files import write_json
from imgrec.runs.child import Training, difference


@dataclass(frozen=True)
class Kind:
    """What several trainings are for.

    record: the file in their folder that has their settings.
    format: what it says of itself.
    title: in words, with its article.
    """

    record: str
    format: str
    title: str


def begin(out: Path, settings: dict[str, Any], kind: Kind, command: str) -> dict[str, Any]:
    """Return what the record says of these settings, written where there is none yet.

    Raises:
        InputError: the folder has the trainings of other settings, or something else.
    """
    settings = json.loads(json.dumps(settings))
    path = out / kind.record
    if path.is_file():
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            held = {}
        if held.get("format") != kind.format:
            raise InputError(f"{path}: not a file of ours; name another --out")
        changed = difference(held["settings"], settings)
        if changed:
            raise InputError(f"{out} holds {kind.title} of other settings ({changed}): name another --out")
        return held
    if places.has_content(out):
        raise InputError(
            f"--out {out}: holds something that is no {kind.title.split(maxsplit=1)[1]}; name a new folder"
        )
    places.make_folder(out)
    record = {"format": kind.format, "finished": False, "command": command, "settings": settings}
    write_json(path, record)
    return record


def is_finished(run: Path, section: str, **wanted: Any) -> bool:
    """Whether a run folder is whole, its files passed their gate, a section of its settings as `wanted`."""
    try:
        config = bundle.read(run).config
    except InputError:
        return False
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    same = all(config[section][name] == value for name, value in wanted.items())
    return same and not metrics["exports"]["failures"]


def train(config: Config, out: Path, title: str, what: str) -> int:
    """Train one of them, with a line an epoch; return its exit code, having said why where it failed."""
    begun = time.perf_counter()
    with Training(config, out) as training:
        print(f"{title}: training, log {training.log}", flush=True)
        of = "" if config.flat()["epochs"] == "auto" else f"/{config.optim.epochs}"
        for row in training.epochs():
            name = next((name for name in row if name.startswith("val_") and name != "val_loss"), "loss")
            short = name.replace("accuracy", "acc")
            print(f"{title}  epoch {row['epoch']:.0f}{of}  {short} {row[name]:.4f}", flush=True)
        code = training.exit_code
    if code:
        print(f"{title} ended with exit code {code}: {training.last_line()}", file=sys.stderr)
        print(f"its log: {training.log}; the same command goes on with this {what}", file=sys.stderr)
    else:
        print(f"{title}: done in {time.perf_counter() - begun:,.0f} s", flush=True)
    return code
