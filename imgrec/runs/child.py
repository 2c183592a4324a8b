"""A training in a process of its own, for commands that start several: followed, stopped, never orphaned.

As a program (`python -m imgrec.runs.child PARENT MODULE words…`) it runs a module, and ends it when the
process that asked for it is gone.
"""

import contextlib
import csv
import os
import runpy
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from imgrec import bundle
from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.files import write_text

TRAINER = "pipelines.train"
POLL = 0.25
"""Seconds between two looks at a process."""
PATIENCE = 30.0
"""Seconds that a training has to save and end before it is killed."""

Row = dict[str, float]


class Training(contextlib.AbstractContextManager["Training"]):
    """A training that has been started; leaving its `with` block stops it if it still runs."""

    def __init__(self, config: Config, out: Path) -> None:
        """Start `pipelines.train` with all of `config`, to the run folder `out`.

        The settings go to `OUT.yaml` and what it prints to `OUT.log`, beside the run folder.
        """
        self.out = out
        self.log = out.with_name(f"{out.name}.log")
        recipe = out.with_name(f"{out.name}.yaml")
        self.words = ["--recipe", str(recipe), "--out", str(out)]
        write_recipe(recipe, {name: value for name, value in config.flat().items() if name != "out"})
        command = [sys.executable, "-m", "imgrec.runs.child", str(os.getpid()), TRAINER, *self.words]
        with open(self.log, "ab") as log:
            # A session of its own: Ctrl-C reaches the parent, which ends the training once.
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONIOENCODING": "utf-8"},  # the log is a file of ours
            )

    @property
    def command(self) -> str:
        """What a user would type to repeat it."""
        return shlex.join(["python", "-m", TRAINER, *self.words])

    @property
    def exit_code(self) -> int:
        """Its exit code once it has ended; 128 + n where signal n ended it."""
        code = self.process.wait()
        return code if code >= 0 else 128 - code

    def epochs(self, tick: Callable[[], None] = lambda: None) -> Iterator[Row]:
        """Give each row of history.csv as soon as it is written, until the training ends.

        `tick` is called at every look, `POLL` seconds apart.
        """
        given = 0
        while True:
            ended = self.process.poll() is not None
            rows = read_history(self.out)
            yield from rows[given:]
            given = max(given, len(rows))
            if ended:
                return
            tick()
            time.sleep(POLL)

    def stop(self) -> None:
        """End it by SIGTERM, and by SIGKILL where it takes longer than `PATIENCE`."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def last_line(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")

    def __exit__(self, *exception: object) -> None:
        self.stop()


def read_history(out: Path) -> list[Row]:
    """The rows of a run's history.csv, finished or not; none where it has none yet."""
    for folder in (bundle.staging_of(out), out):
        try:
            with open(folder / "history.csv", encoding="utf-8", newline="") as stream:
                return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
        except OSError:
            continue
    return []


def write_recipe(path: Path, settings: dict[str, Any], header: str = "") -> None:
    """Write settings as a recipe that `--recipe` takes, below the lines of a comment."""
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    write_text(path, comment + yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Name the settings that differ: `--epochs was 3, is 5; …`; empty where none does."""
    return "; ".join(
        f"--{name.replace('_', '-')} was {old.get(name)!r}, is {new.get(name)!r}"
        for name in dict.fromkeys([*new, *old])
        if old.get(name) != new.get(name)
    )


def hand_over(config: Config, folder: Path, out: Path) -> int:
    """Let a process on TensorFlow go on with the run that JAX trained in `folder`; return its exit code.

    It is the same command on another backend: it finds the training done, and quantises, measures and
    writes `out`, as TFLite needs it. It sees one host and no accelerator of JAX's.
    """
    print("\ngoing on with TensorFlow on one device: it measures and exports", flush=True)
    settings = {name: value for name, value in config.flat().items() if name != "out"}
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    bundle.release(folder)
    with tempfile.TemporaryDirectory() as temporary:
        recipe = Path(temporary) / "trained.yaml"
        write_recipe(recipe, {**settings, "strategy": "none", "restart": False, "resume": True})
        command = [sys.executable, "-m", TRAINER, "--recipe", str(recipe), "--out", str(out)]
        return subprocess.run(
            command, env={**environment, "KERAS_BACKEND": "tensorflow"}, check=False
        ).returncode


def for_one_training(config: Config) -> None:
    """Refuse settings that make sense for a single training only.

    Raises:
        InputError: one of them is set.
    """
    flat = config.flat()
    for name in ("preview", "lr_find", "resume", "restart", "fold"):
        if flat[name]:
            raise InputError(f"--{name.replace('_', '-')} is for one training: use it with pipelines.train")


def _follow(parent: int) -> None:
    """End this process, as by SIGTERM, once its parent is another one: the parent has died."""
    while os.getppid() == parent:
        time.sleep(POLL)
    os.kill(os.getpid(), signal.SIGTERM)


def main(argv: Sequence[str]) -> None:
    """Run a module as a program, no longer than the parent lives."""
    parent, module, *words = argv
    threading.Thread(target=_follow, args=(int(parent),), daemon=True).start()
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
