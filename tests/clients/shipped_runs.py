"""What tests of real clients share: a run's files and pictures, commands, and what `predict` answers."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
Ranked = list[tuple[str, float]]
"""(label, probability) of every class, the most probable first."""


@dataclass(frozen=True)
class Shipped:
    """A run with files to ship, and pictures that it has not seen.

    exports: its folder of files.
    own: 250 PNG of the size that the files take.
    other: the same, or such, of another size.
    """

    exports: Path
    own: Path
    other: Path


def run(*words: str | Path, **more: object) -> str:
    """Run a command without this project's packages in sight; return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    given: dict = {"check": True, "capture_output": True, "text": True, "timeout": 600, "env": environment}
    return subprocess.run(list(map(str, words)), **{**given, **more}).stdout


def predicted(file: Path, pictures: Path) -> dict[str, Ranked]:
    """Every picture's answer, by name, as the command gives it."""
    said = run(
        sys.executable, "-m", "pipelines.predict", pictures, "--run", file, "--json", "--top", "10", cwd=ROOT
    )
    return ranked(said)


def ranked(rows: str) -> dict[str, Ranked]:
    """Read rows of JSON as `predict --json` prints them: name of the picture to its classes."""
    return {
        Path(row["path"]).name: [(entry["label"], entry["probability"]) for entry in row["top"]]
        for row in map(json.loads, rows.splitlines())
    }
