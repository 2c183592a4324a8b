"""(slow) `examples/python_litert.py` in an environment of the three packages that it asks for."""

from pathlib import Path

import pytest
from shipped_runs import ROOT, Ranked, Shipped, predicted, ranked, run

EXAMPLE = ROOT / "examples" / "python_litert.py"
pytestmark = pytest.mark.slow


def answers(python: Path, file: Path, pictures: Path) -> dict[str, Ranked]:
    return ranked(run(python, EXAMPLE, file, *sorted(pictures.iterdir()), cwd=pictures))


@pytest.mark.parametrize("name", ["grey", "colour", "several"])
def test_it_answers_as_predict(litert_python: Path, name: str, request: pytest.FixtureRequest) -> None:
    shipped: Shipped = request.getfixturevalue(name)
    for file in sorted(shipped.exports.glob("*.tflite")):
        assert answers(litert_python, file, shipped.own) == predicted(file, shipped.own)


@pytest.mark.parametrize("name", ["grey", "colour", "several"])
def test_of_other_sizes_pillow_comes_near(
    litert_python: Path, name: str, request: pytest.FixtureRequest
) -> None:
    """Pillow widens its filter as ours does; a shade of difference is left, and half a pixel of a crop."""
    shipped: Shipped = request.getfixturevalue(name)
    file = shipped.exports / "float32.tflite"
    ours, theirs = predicted(file, shipped.other), answers(litert_python, file, shipped.other)
    same = sum(theirs[picture][0][0] == ranked[0][0] for picture, ranked in ours.items())
    assert same >= 0.97 * len(ours)


def test_there_is_no_tensorflow(litert_python: Path) -> None:
    looked = "import importlib.util; print(*map(importlib.util.find_spec, ('tensorflow', 'imgrec', 'cv2')))"
    assert run(litert_python, "-c", looked, cwd=EXAMPLE.parent).split() == ["None"] * 3
