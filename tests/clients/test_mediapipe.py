"""(slow) MediaPipe's image classifier, as it is published, opens the files and answers as `predict`."""

import json
from pathlib import Path
from typing import Any

import pytest
from shipped_runs import Ranked, Shipped, predicted, run

HERE = Path(__file__).parent
pytestmark = pytest.mark.slow


@pytest.fixture(params=["grey", "colour", "several"])
def shipped(request: pytest.FixtureRequest) -> Shipped:
    found: Shipped = request.getfixturevalue(request.param)
    return found


def by_mediapipe(python: Path, file: Path, pictures: Path) -> Any:
    return json.loads(run(python, HERE / "by_mediapipe.py", file, pictures, cwd=pictures))


def agreement(ours: dict[str, Ranked], theirs: dict[str, Ranked]) -> float:
    """The share of pictures with the same first class."""
    assert ours.keys() == theirs.keys()
    return sum(theirs[name][0][0] == ranked[0][0] for name, ranked in ours.items()) / len(ours)


def apart(ours: dict[str, Ranked], theirs: dict[str, Ranked]) -> float:
    """How far any class's probability is away, at most."""
    return max(
        abs(dict(theirs[name])[label] - probability)
        for name, ranked in ours.items()
        for label, probability in ranked
    )


def test_it_answers_as_predict(mediapipe_python: Path, shipped: Shipped) -> None:
    """Pictures of the file's own size: nothing is left to differ; names come from the file."""
    for file in sorted(shipped.exports.glob("*.tflite")):
        ours = predicted(file, shipped.own)
        theirs = by_mediapipe(mediapipe_python, file, shipped.own)["answers"]
        assert len(ours) == 250 and agreement(ours, theirs) >= 0.99
        assert apart(ours, theirs) < 1e-5
        labels = (shipped.exports / "labels.txt").read_text(encoding="utf-8").splitlines()
        assert {label for label, _ in theirs["000.png"]} == set(labels)


def test_its_own_resize_changes_few_answers_on_the_sample(mediapipe_python: Path, grey: Shipped) -> None:
    """It stretches, and leaves out pixels where it shrinks; ours weighs them all."""
    for file in sorted(grey.exports.glob("*.tflite")):
        theirs = by_mediapipe(mediapipe_python, file, grey.other)["answers"]
        assert agreement(predicted(file, grey.other), theirs) >= 0.9


def test_the_metadata_read_by_its_own_classes(mediapipe_python: Path, shipped: Shipped) -> None:
    file = shipped.exports / "ptq_int8.tflite"
    metadata = by_mediapipe(mediapipe_python, file, shipped.own)["metadata"]
    assert metadata["name"] == "lenet5" and "trained by imgrec on" in metadata["description"]
    assert metadata["minParserVersion"] == "1.0.0"
    (graph,) = metadata["subgraphMetadata"]
    (taken,), (given,) = graph["inputTensorMetadata"], graph["outputTensorMetadata"]
    side = json.loads((shipped.exports / "preprocess.json").read_text())["size"][0]
    image, rgb = 2, 1
    assert taken["name"] == "image" and taken["content"]["contentPropertiesType"] == image
    assert taken["content"]["contentProperties"] == {
        "colorSpace": rgb,
        "defaultSize": {"width": side, "height": side},
    }
    assert taken["stats"] == {"max": [255.0], "min": [0.0]}
    assert taken["processUnits"] == [{"optionsType": 1, "options": {"mean": [0.0], "std": [1.0]}}]
    assert given["name"] == "probability" and given["stats"] == {"max": [1.0], "min": [0.0]}
    (names,) = given["associatedFiles"]
    assert (names["name"], names["type"]) == ("labels.txt", 2)
    assert {file["name"] for file in metadata["associatedFiles"]} == {"task.json", "preprocess.json"}
