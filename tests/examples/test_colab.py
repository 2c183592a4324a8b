"""The notebook: well formed and of flags that exist; (slow) run from top to bottom on a processor."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from imgrec.config import Config
from pipelines.cli import recipe_names

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "colab.ipynb"


def code_of(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """The code cells by id, `%` and `!` lines made into plain Python."""
    cells = {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}
    return {
        name: re.sub(r"^(\s*)[%!].*$", r"\1pass", text, flags=re.MULTILINE) for name, text in cells.items()
    }


def test_it_is_a_notebook_without_answers() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
    assert {"install", "doctor", "train", "use"} <= set(code_of(notebook))


def test_its_code_and_flags_exist() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    flags = {f"--{name.replace('_', '-')}" for name in Config().flat()}
    flags |= {f"--no-{flag.removeprefix('--')}" for flag in flags}
    flags |= {"--run", "--top", "--recipe", "--help", "--trials", "--folds", "--quiet"}  # of other commands
    for name, text in code_of(notebook).items():
        ast.parse(text, name)
    whole = "\n".join(cell.source for cell in notebook.cells)
    named = set(re.findall(r"--[a-z][a-z-]+", whole))
    assert {"--data", "--out", "--run"} <= named <= flags
    assert set(re.findall(r"--recipe (\w+)", whole)) <= set(recipe_names())
    for module in set(re.findall(r"python -m (pipelines\.\w+)", whole)):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of the notebook's own machinery
def test_it_runs_from_top_to_bottom(tmp_path: Path) -> None:
    """With imgrec installed from the working tree, in an empty folder, two epochs."""
    from nbclient import NotebookClient

    source, site, place = tmp_path / "source", tmp_path / "site", tmp_path / "here"
    place.mkdir()
    for name in ("imgrec", "pipelines"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(site),
        str(source),
    ]
    subprocess.run(install, check=True, timeout=600)

    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = {cell.id: cell for cell in notebook.cells}
    cells["settings"].source = cells["settings"].source.replace("EPOCHS = 10", "EPOCHS = 2")
    cells["images"].source = cells["images"].source.replace("range(1000)", "range(600)")
    cells["use"].source += "\nimport imgrec\nprint(imgrec.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    client = NotebookClient(notebook, timeout=1500, resources={"metadata": {"path": str(place)}})
    client.execute(env=environment)

    said = {
        name: "".join(output.get("text", "") for output in cell.get("outputs", []))
        for name, cell in cells.items()
    }
    assert "training can run here" in said["doctor"]
    assert "epochs × " in said["train"] and "test accuracy" in said["train"]
    assert re.search(r"accuracy 0\.\d+ on \d+ images", said["result"])
    assert "2 images recognised with run/exports/qat_int8.tflite" in said["use"]
    assert str(site) in said["use"]
    assert (place / "exports.zip").stat().st_size > 10_000
