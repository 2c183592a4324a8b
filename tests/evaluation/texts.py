"""The sentences of pages, found in the code and in the templates: what a catalogue has to hold."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
from jinja2 import nodes

IMGREC = Path(__file__).parents[2] / "imgrec"
TEMPLATES = IMGREC / "evaluation" / "templates"
SAY = {"_", "_html", "Phrase", "language", "self"}
"""What takes a sentence: `_` in sections and templates, phrases further down, a language itself."""


def in_templates() -> Iterator[tuple[str, str]]:
    """Where it stands, and each sentence of the templates."""
    environment = jinja2.Environment()
    for path in sorted(TEMPLATES.rglob("*.j2")):
        tree = environment.parse(path.read_text(encoding="utf-8"))
        for call in tree.find_all(nodes.Call):
            name = call.node.name if isinstance(call.node, nodes.Name) else ""
            if name in SAY and call.args:
                first, place = call.args[0], f"{path.name}:{call.lineno}"
                if isinstance(first, nodes.Const):
                    yield place, str(first.value)
                else:
                    assert name != "_html", f"{place}: _html takes a literal, for it is not escaped"


def in_code() -> Iterator[tuple[str, str]]:
    """The same of the code; a sentence that is put together there could be in no catalogue."""
    for path in sorted(IMGREC.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            name = getattr(call.func, "id", "") or getattr(call.func, "attr", "")
            if name in SAY:
                first, place = call.args[0], f"{path.relative_to(IMGREC)}:{call.lineno}"
                assert not isinstance(first, ast.JoinedStr | ast.BinOp), (
                    f"{place}: a literal, and values beside it"
                )
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield place, first.value


def sentences() -> dict[str, str]:
    """Each sentence with the first place where it stands."""
    found: dict[str, str] = {}
    for place, text in (*in_templates(), *in_code()):
        found.setdefault(text, place)
    return found


def names(text: str) -> set[str]:
    """The names in braces."""
    return set(re.findall(r"\{(\w+)[^{}]*\}", text))
