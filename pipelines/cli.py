"""What every command shares: flags from dataclasses, recipes, exit codes."""

import argparse
import contextlib
import errno
import io
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import yaml

from imgrec import caches, streams
from imgrec.config import Config, from_mapping
from imgrec.config.renamed import refuse_flags
from imgrec.errors import InputError, WorkerLost
from imgrec.registry import lookup

T = TypeVar("T")
RECIPES = Path(__file__).parent / "recipes"
_UNION = re.compile(r"Error parsing (--\S+): no type matching (\S+) could be instantiated from \['(.*?)'\]")
UNREAD = 128 + 13
"""Exit code of a program whose output nobody reads: 128 + SIGPIPE."""


def guarded(command: Callable[[], int | None]) -> NoReturn:
    """Run `command` and exit: its return value or 0; 2 on bad input or a full disk; 130, 143 interrupted.

    An `InputError` is printed as one line on standard error, and so is `WorkerLost`, with 1. Any other
    exception keeps its traceback and exits with 1: it is our own bug. Where nobody reads on, as after
    `| head`, it ends with 141, as other programs do.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    signal.signal(signal.SIGTERM, _terminated)
    streams.settle()
    try:
        code = _code_of(command)
        sys.stdout.flush()
    except BrokenPipeError:
        if not streams.drop_unread():
            raise
        code = UNREAD
    sys.exit(code)


def _code_of(command: Callable[[], int | None]) -> int:
    """Run `command`, say what ended it in one line, and return the exit code."""
    try:
        caches.settle_others()
        return command() or 0
    except SystemExit as stop:  # of --help, or a signal
        if not isinstance(stop.code, int | None):
            raise
        return stop.code or 0
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except WorkerLost as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"error: {error}: make room, then give the same command again", file=sys.stderr)
        return 2


def _terminated(signum: int, frame: FrameType | None) -> NoReturn:
    print("terminated", file=sys.stderr)
    sys.exit(143)


def parse(kind: type[T], argv: Sequence[str] | None, *, default: T | None = None, **options: Any) -> T:
    """Fill the dataclass `kind` from flat flags (`--image-size 64`), over the values of `default`.

    Where `argv` is None, the words are the program's own. `--help` prints the flags grouped by section and
    exits with 0.

    Raises:
        InputError: an unknown flag (with the nearest), or one of an earlier version, or a value of the wrong
            type.
    """
    import tyro

    start = getattr(default, "config", default)
    now = (start if isinstance(start, Config) else Config()).flat()
    refuse_flags(sys.argv[1:] if argv is None else argv, now)
    if default is not None:
        options["default"] = default
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(kind, args=argv, config=(tyro.conf.OmitArgPrefixes,), **options)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(_one_line(complaint.getvalue())) from None


def _one_line(box: str) -> str:
    """Turn the framed message of the flag parser into one sentence; its terminal width is no matter."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", box)
    lines = [line.strip("│ ") for line in plain.splitlines() if line.startswith("│")]
    lines = [line for line in lines if line and not line.startswith("─")]
    head = lines[0] if lines else plain.strip()
    if union := _UNION.search(" ".join(lines)):  # a number, or a word in its place
        flag, kinds, value = union.groups()
        expected = " or ".join(re.findall(r"[A-Za-z]+", kinds))
        return f"{flag} {value}: expected {expected} (--help lists every flag)"
    unknown = head.startswith("Unrecognized")
    flags = [line.split()[0].rstrip(",") for line in lines if line.startswith("--")] if unknown else []
    close = f"; did you mean {' or '.join(flags)}?" if flags else ""
    rest = [line for line in lines[1:] if not line.startswith(("For ", "--", "Perhaps"))]
    detail = "" if flags else "".join(f" {line}" for line in rest).partition(" Argument helptext:")[0]
    return f"{head}{detail}{close} (--help lists every flag)"


def print_json(value: object) -> None:
    """Print what programs read, on standard output; escaped as JSON has it where letters are missing."""
    print(json.dumps(value, indent=2, ensure_ascii=not streams.shows_all(sys.stdout)))


def json_line(value: object) -> str:
    """Return JSON of one line, as `print_json` prints its own."""
    return json.dumps(value, ensure_ascii=not streams.shows_all(sys.stdout))


def take_recipe(argv: Sequence[str]) -> tuple[Config, list[str]]:
    """Split `--recipe NAME|FILE.yaml` off `argv`; return the config it describes and the other words.

    Raises:
        InputError: no such recipe, no YAML mapping, or a setting that does not exist.
    """
    words = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    words.add_argument("--recipe", nargs="?", const="")
    given, rest = words.parse_known_args(argv)
    return (Config() if given.recipe is None else read_recipe(given.recipe)), rest


def with_value(argv: Sequence[str], flag: str, value: str) -> list[str]:
    """Put `value` behind `flag` where it stands alone: last, before a flag, or before a file."""
    words = list(argv)
    if flag in words:
        place = words.index(flag) + 1
        if place == len(words) or words[place].startswith("-") or Path(words[place]).exists():
            words.insert(place, value)
    return words


def recipe_names() -> list[str]:
    """The recipes that come with the program."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def read_recipe(name: str) -> Config:
    """Read a recipe by the name of a shipped one, or by the path of a `.yaml` file."""
    shipped = {stem: RECIPES / f"{stem}.yaml" for stem in recipe_names()}
    path = Path(name) if name.endswith((".yaml", ".yml")) else lookup(shipped, name, "recipe")
    if not path.is_file():
        raise InputError(f"recipe {name!r}: no such file; shipped recipes: {', '.join(shipped)}")
    try:
        text = path.read_text(encoding="utf-8")
        # Aliases of aliases are a few lines that stand for more than any memory holds.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise InputError(f"recipe {path}: has an alias (*name); write each setting out")
        tree = yaml.safe_load(text) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise InputError(f"recipe {path}: not valid YAML: {said}") from None
    if not isinstance(tree, dict):
        raise InputError(f"recipe {path}: got {type(tree).__name__}, expected a mapping of settings")
    return from_mapping(tree)
