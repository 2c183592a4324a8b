"""The pages: links lead somewhere, and flags, commands and paths that they name are there."""

import ast
import dataclasses
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "saved_models" / "README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
LENGTHS = {"README.md": 130, "CONTRIBUTING.md": 90}
OF_OTHERS = {"--help", "--logdir", "--from", "--recipe"}
"""Flags that no dataclass has: help, TensorBoard's, the sample's builder's, and what `take_recipe` takes."""
OF_OTHERS |= {"--model-repository", "--onnx", "--fp16", "--save", "--min", "--opt", "--max", "--data-binary"}
"""Those of tritonserver, curl and trtexec, of which the latter's have capitals behind."""
OF_OTHERS |= {"--read-only", "--tmpfs", "--dry-run"}
"""Those of docker and pip."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def without_code(text: str) -> str:
    """The text without code blocks and code spans, in which brackets are no links."""
    return re.sub(r"`[^`\n]*`", "code", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, made as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    seen: dict[str, int] = {}
    found = set()
    for title in re.findall(r"^#+ +(.+)$", text, re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        seen[anchor] = seen.get(anchor, -1) + 1
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
    return found


def settings_of(kind: type) -> Iterator[str]:
    """The flat names of the fields of a dataclass and of those within it, and `no-…` of what is on or off."""
    hints: dict[str, Any] = get_type_hints(kind)
    extras: dict[str, Any] = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        given = (getattr(each, "name", None) for each in getattr(extras[field.name], "__metadata__", ()))
        name = next(filter(None, given), field.name.replace("_", "-"))
        if dataclasses.is_dataclass(hints[field.name]):
            yield from settings_of(hints[field.name])
        else:
            yield from (name, f"no-{name}") if hints[field.name] is bool else (name,)


def calls(path: Path, name: str) -> Iterator[ast.Call]:
    """The calls of a function or method of that name in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and name in (
            getattr(node.func, "id", ""),
            getattr(node.func, "attr", ""),
        ):
            yield node


def flags() -> Iterator[str]:
    """What commands take by the dataclasses that they parse into, and benchmarks by `add_argument`."""
    for path in (ROOT / "pipelines").glob("[a-z]*.py"):
        module = importlib.import_module(f"pipelines.{path.stem}")
        for call in calls(path, "parse"):
            kind = getattr(module, ast.unparse(call.args[0]), None)
            for each in get_args(kind) or (kind,):  # a command of several has a union
                if isinstance(each, type) and dataclasses.is_dataclass(each):
                    yield from (f"--{name}" for name in settings_of(each))
    for path in (ROOT / "benchmarks").glob("*.py"):
        for call in calls(path, "add_argument"):
            yield from (word.value for word in call.args if isinstance(word, ast.Constant))


FLAGS = {*flags(), *OF_OTHERS}


@pages
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8")))
    for link in links:
        path, _, anchor = link.partition("#")
        if re.match(r"\w+:", path):
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), link


@pages
def test_flags_are_there(page: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", page.read_text(encoding="utf-8")))
    assert named <= FLAGS


@pages
def test_commands_and_paths_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    modules = re.findall(r"-m ((?:pipelines|benchmarks|imgrec)\.[\w.]+\w)", text)
    paths = re.findall(r"`((?:imgrec|tests|benchmarks|pipelines|docs|examples)/[\w./-]*)`", text)
    files = [f"{module.replace('.', '/')}.py" for module in modules]
    assert [name for name in {*paths, *files} if not (ROOT / name).exists()] == []


@pages
def test_every_page_is_reached_from_the_first(page: Path) -> None:
    first = PAGES[0].read_text(encoding="utf-8")
    assert page == PAGES[0] or f"({page.relative_to(ROOT).as_posix()})" in first


@pytest.mark.parametrize(("name", "lines"), LENGTHS.items())
def test_first_pages_are_short(name: str, lines: int) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= lines
