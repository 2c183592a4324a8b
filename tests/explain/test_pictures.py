"""From a file's bytes to the picture of what an answer rests on, for a run folder's Keras model."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from explained import CLASSES, network

from imgrec import bundle, files, runtimes, tasks
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.explain.pictures import Explainer
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel

PREPROCESS = Preprocess((28, 28), "grey", "letterbox")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with random weights and no exports."""
    out = tmp_path_factory.mktemp("runs") / "run"
    model, folder = network("lenet5"), bundle.begin(out)
    recorded = {"name": "lenet5", "input_shape": [28, 28, 1], "num_classes": len(CLASSES), "options": {}}
    files.write_json(folder / "run.json", {"format": bundle.FORMAT, "model": recorded, "config": {}})
    files.write_file(folder / "model.keras", lambda path: model.save(path))
    files.write_text(folder / "preprocess.json", PREPROCESS.to_json())
    tasks.write(folder, Multiclass(CLASSES))
    return bundle.finish(folder, out)


def photo(height: int = 300, width: int = 420) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def opened(png: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)


def test_a_run_folder_explains_its_answers(run: Path) -> None:
    explainer = Explainer.of_run(run, "auto|hirescam(endpoint=stem)|integrated_gradients(steps=8)")
    first, *others = explainer.pictures(photo())
    assert [first.name, *(each.name for each in others)] == ["gradcam", "hirescam", "integrated_gradients"]
    assert first.method == "gradcam(endpoint=stage1)" and others[0].method == "hirescam(endpoint=stem)"
    drawn = opened(first.png)
    assert drawn.shape[1] == 420 and 300 < drawn.shape[0] < 400
    scores = explainer.runtime.answer(PREPROCESS.on_bytes(photo())[None])
    assert first.label == CLASSES[int(scores.argmax())]
    named = {label: explainer.pictures(photo(), label)[0] for label in CLASSES}
    assert sum(picture.score for picture in named.values()) == pytest.approx(1)
    assert len({picture.png for picture in named.values()}) == len(CLASSES)
    assert named[first.label].png == first.png
    with pytest.raises(InputError, match="unknown class 'be': did you mean bee"):
        explainer.pictures(photo(), "be")
    with pytest.raises(InputError, match="upload: "):
        explainer.pictures(b"no image", name="upload")


def test_a_multi_label_answer_is_explained_class_by_class() -> None:
    explainer = Explainer(runtimes.of_model(network("resnet8")), PREPROCESS, Multilabel(CLASSES), "gradcam")
    named = {label: explainer.pictures(photo(), label)[0] for label in CLASSES}
    (best,) = explainer.pictures(photo())
    assert best.label == max(named, key=lambda label: named[label].score)
    # Sigmoids, each by itself.
    assert sum(picture.score for picture in named.values()) != pytest.approx(1, abs=1e-3)
    assert len({picture.png for picture in named.values()}) == len(CLASSES)
