"""Imports run one way, and no two files import each other; imports for types alone count too."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {
    "imgrec.errors": 0, "imgrec.files": 0, "imgrec.processors": 0, "imgrec.frameworks": 0,
    "imgrec.streams": 0, "imgrec.phrases": 0, "imgrec.extras": 1, "imgrec.guards": 1, "imgrec.caches": 1,
    "imgrec.places": 1, "imgrec.registry": 1, "imgrec.spec": 1, "imgrec.jax_devices": 1, "imgrec.workers": 2,
    "imgrec.config": 3, "imgrec.runtime": 3,
    "imgrec.layers": 10, "imgrec.losses": 10, "imgrec.data": 10,
    "imgrec.models": 20, "imgrec.metrics": 20,
    "imgrec.tasks": 30,
    "imgrec.artefact": 40, "imgrec.bundle": 40, "imgrec.engines": 41, "imgrec.runtimes": 42,
    "imgrec.unknown": 40, "imgrec.watching": 40, "imgrec.explain": 45,
    "imgrec.serving.predictor": 44, "imgrec.serving.identity": 44, "imgrec.store": 45,
    "imgrec.training": 50, "imgrec.evaluation": 50, "imgrec.compression": 50, "imgrec.export": 50,
    "imgrec.learning": 60,
    "imgrec.serving": 70,
    "imgrec.runs": 80, "imgrec.synthesis": 80,
    "pipelines": 90,
}  # fmt: skip
"""A room imports rooms of a lower rank, never its neighbours on its own."""
FILES = sorted(p for top in ("imgrec", "pipelines") for p in (ROOT / top).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def room(module: str, table: dict[str, int]) -> str | None:
    """The longest name in the table that `module` is, or lies in."""
    return next((r for r in sorted(table, key=len, reverse=True) if (module + ".").startswith(r + ".")), None)


def imported(path: Path) -> set[str]:
    """The modules of ours that a file imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else str(node.module) for name in whole}
    ours = {name for name in names if name.split(".")[0] in ("imgrec", "pipelines")}
    assert ours <= set(MODULES), f"{path} imports {ours - set(MODULES)}, which is not there"
    return ours


GRAPH = {module: imported(path) - {module, "imgrec"} for module, path in MODULES.items()}


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"imgrec"}))
def test_imports_run_one_way(module: str) -> None:
    here = room(module, ROOMS)
    assert here is not None, f"{module} stands in no room of the table"
    for name in GRAPH[module]:
        there = room(name, ROOMS)
        assert there is not None, f"{name} stands in no room of the table"
        assert there == here or ROOMS[there] < ROOMS[here], f"{module} imports {name}"


def test_no_file_imports_another_that_leads_back_to_it() -> None:
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, f"a circle: {' → '.join((*above[above.index(module) :], module))}"
        if module not in done:
            for name in sorted(GRAPH[module]):
                visit(name, (*above, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())
