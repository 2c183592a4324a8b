"""The shape of the code: few arguments, thin entry points, and kinds of labels known in two rooms only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for top in ("imgrec", "pipelines") for path in (ROOT / top).rglob("*.py"))
ENTRIES = sorted((ROOT / "pipelines").glob("*.py"))
MOST_ARGUMENTS, MOST_LINES, MOST_LINES_IN_ALL = 7, 80, 1300
DECIDED_IN = ("imgrec/tasks/", "imgrec/data/sources/")
"""Where it is known whether an image has one label or more."""
DECIDED = {"several", "label_sets"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The names of all that a function takes, the object or class of a method aside."""
    a = function.args
    rest = [argument for argument in (a.vararg, a.kwarg) if argument]
    names = [argument.arg for argument in (*a.posonlyargs, *a.args, *a.kwonlyargs, *rest)]
    return [name for name in names if name not in ("self", "cls")]


def identifiers(node: ast.AST) -> Iterator[str]:
    """The names that a node itself bears: what it reads, takes, defines or imports."""
    for field in ("id", "attr", "arg", "name", "asname"):
        if isinstance(name := getattr(node, field, None), str):
            yield name


@pytest.mark.parametrize("path", [p for p in FILES if "models" not in p.parent.parts], ids=name_of)
def test_no_function_takes_more_than_seven_arguments(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    wide = {f"{f.name}, line {f.lineno}": arguments(f) for f in functions}
    assert not {where: names for where, names in wide.items() if len(names) > MOST_ARGUMENTS}


@pytest.mark.parametrize("path", [p for p in ENTRIES if p.name != "cli.py"], ids=name_of)
def test_an_entry_point_is_thin(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_all_entry_points_together_are_thin() -> None:
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in ENTRIES) <= MOST_LINES_IN_ALL


@pytest.mark.parametrize("path", [p for p in FILES if not name_of(p).startswith(DECIDED_IN)], ids=name_of)
def test_kinds_of_labels_are_known_to_tasks_and_sources_only(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {name for node in ast.walk(tree) for name in identifiers(node)}
    assert not found & DECIDED
