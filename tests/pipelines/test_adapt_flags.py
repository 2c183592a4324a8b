"""`--adapt` from the flag to preprocess.json, the report and the shipped file; `--adapt-bn`."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import degrade
from imgrec import bundle
from imgrec.config import Config
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.learning.adaptive_bn import adapt_batch_norm
from imgrec.serving.asking import Command
from imgrec.serving.predictor import Predictor
from pipelines import predict, train


def stripes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Horizontal, vertical or no stripes, with noise, every fourth image four stops too dark."""
    draw = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = draw.integers(20, 120, (count, 16, 16), dtype=np.uint8)
    images[labels == 0, ::4] += 130
    images[labels == 1, :, ::4] += 130
    images[::4] = degrade.low_light(images[::4], 4, draw)
    return images, labels


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapt")
    images, labels = stripes(240)
    np.savez(folder / "stripes.npz", images=images, labels=labels)
    out = folder / "run"
    words = ["--data", f"npz:{folder / 'stripes.npz'}", "--out", str(out), "--adapt", "lowlight(110)|dehaze"]
    words += ["--model", "resnet8(width=8)", "--epochs", "5", "--batch-size", "32"]
    words += ["--learning-rate", "0.05", "--warmup-epochs", "0.5", "--no-tensorboard", "--quantize", "none"]
    # Not what the processor is faster in: the file answers exactly as the model.
    assert train.main([*words, "--crop", "none", "--precision", "float32"]) == 0
    return out


def test_the_line_is_recorded_and_judged(trained: Path) -> None:
    for place in (trained, trained / "exports"):
        recorded = Preprocess.from_json((place / "preprocess.json").read_text(encoding="utf-8"))
        assert recorded.adapt == "lowlight(110)|dehaze(72)"
    assert bundle.read(trained).config["data"]["adapt"] == "lowlight(110)|dehaze(72)"
    metrics = json.loads((trained / "metrics.json").read_text(encoding="utf-8"))
    judged = metrics["adaptation"]
    assert judged["line"] == "lowlight(110)|dehaze(72)"
    assert judged["all"]["images"] == metrics["test"]["images"]
    assert judged["all"]["accuracy"] == metrics["test"]["accuracy"]
    (step,) = judged["steps"]
    assert step["name"] == "lowlight" and step["images"] == judged["triggered"]["images"] >= 3
    changed = judged["all"]["images"] * (judged["all"]["accuracy"] - judged["all"]["accuracy_off"])
    assert round(changed) == judged["gained"] - judged["lost"]
    page = (trained / "report" / "index.html").read_text(encoding="utf-8")
    assert "Adaptive steps, against off" in page and judged["verdict"] in page


def test_the_shipped_file_prepares_pictures_as_the_run_does(trained: Path, tmp_path: Path) -> None:
    images, _ = stripes(24)
    files = []
    for number, image in enumerate(images):
        files.append(tmp_path / f"{number:02d}.png")
        cv2.imwrite(str(files[-1]), image)
    run, file = (Predictor.load(path) for path in (trained, trained / "exports" / "float32.tflite"))
    assert file.preprocess == run.preprocess
    assert np.abs(run.predict_files(files) - file.predict_files(files)).max() < 1e-4
    prepared = np.stack([file.preprocess.on_array(image) for image in images])
    assert np.array_equal(file.predict(prepared), file.predict_files(files))
    assert (prepared[::4].mean(axis=(1, 2, 3)) > 2 * images[::4].mean(axis=(1, 2))).all()


def test_adaptive_bn_answers_with_the_statistics_of_these_pictures(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = []
    for number, image in enumerate(stripes(40)[0]):
        files.append(tmp_path / f"{number:03d}.png")
        cv2.imwrite(str(files[-1]), 20 + image // 2)
    said = []
    for flag in (False, True):
        predict.run(Command((tmp_path,), run=trained, json=True, top=1, adapt_bn=flag))
        output = capsys.readouterr()
        said.append([json.loads(line)["probability"] for line in output.out.splitlines()])
    assert "layers adapted to 40 of these images" in output.err
    loaded = bundle.load(trained)
    adapt_batch_norm(loaded.model, np.stack([loaded.preprocess.on_file(file) for file in files]), prior=16)
    adapted = Predictor.of_model(loaded.model, loaded.preprocess, loaded.task)
    expected = adapted.predict_files(files).max(axis=1)
    assert np.allclose(said[1], expected, atol=1e-3) and np.abs(np.subtract(*said)).max() > 0.01
    with pytest.raises(InputError, match=r"statistics of .* are fixed"):
        predict.run(Command((tmp_path,), run=trained / "exports" / "float32.tflite", adapt_bn=True))


def test_an_unknown_step_is_named_before_any_data_is_read() -> None:
    from imgrec.runs.session import prepare

    with pytest.raises(InputError, match="unknown adaptive step 'dehase': did you mean dehaze"):
        prepare(Config().replace(adapt="dehase", data="nowhere"), "train")
