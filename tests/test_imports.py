"""Imports run one way: a package imports ranks below its own, never its own rank's neighbours."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RANKS = {
    "imgrec.errors": -2,
    "imgrec.files": -2,
    "imgrec.processors": -2,
    "imgrec.config.settings": -1,
    "imgrec.jax_devices": -1,
    "imgrec.workers": -0.5,
    "imgrec.config": 0, "imgrec.registry": 0, "imgrec.runtime": 0,
    "imgrec.layers": 1, "imgrec.data": 1, "imgrec.losses": 1,
    "imgrec.models": 2,
    "imgrec.bundle": 3,
    "imgrec.training": 4, "imgrec.evaluation": 4, "imgrec.compression": 4, "imgrec.export": 4,
    "imgrec.learning": 5,
    "imgrec.serving": 6,
    "pipelines": 7,
}  # fmt: skip
SERVING_MAY = {"imgrec.bundle", "imgrec.data.preprocess", "imgrec.data.adapt"}
FILES = sorted(p for top in ("imgrec", "pipelines") for p in (ROOT / top).rglob("*.py"))


def room(module: str) -> str | None:
    """The package of the table that `module` belongs to."""
    return next((r for r in sorted(RANKS, key=len, reverse=True) if (module + ".").startswith(r + ".")), None)


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in ("imgrec", "pipelines")}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_run_one_way(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    here = room(module)
    if module == "imgrec.__init__":
        assert not imported(path)
        return
    assert here is not None, f"{module} stands in no room of the table"
    for name in imported(path):
        there = room(name)
        if there is None or there == here:
            continue
        below = RANKS[there] < RANKS[here]
        if here == "imgrec.serving" and RANKS[there] > 0:
            below = any(name.startswith(allowed) for allowed in SERVING_MAY)
        assert below, f"{module} (rank {RANKS[here]}) imports {name} (rank {RANKS[there]})"
