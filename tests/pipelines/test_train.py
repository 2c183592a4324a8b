"""The whole path on images made here: train, report, export, predict; and what it refuses."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.metrics import balanced_accuracy_score, log_loss, matthews_corrcoef, roc_auc_score

from imgrec import bundle, tasks
from imgrec.errors import InputError
from imgrec.evaluation import stored
from imgrec.export import parity
from imgrec.export.inspect import describe, float_operators, foreign_operators
from imgrec.models.weights import candidates
from imgrec.runtimes import Runtime, open_runtime
from imgrec.serving.predictor import Predictor
from pipelines import train

SMALL = ["--model", "resnet8(width=8)", "--epochs", "6", "--batch-size", "32"]
SMALL += ["--learning-rate", "0.05", "--warmup-epochs", "0.5", "--qat-epochs", "1", "--no-tensorboard"]
# Not what the processor is faster in: the files answer exactly as the model, not within bfloat16's rounding.
SMALL += ["--precision", "float32"]


def stripes(count: int, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Horizontal, vertical or no stripes, with noise: uint8 `[N, H, W]` and labels 0, 1, 2."""
    draw = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = draw.integers(0, 100, (count, side, side), dtype=np.uint8)
    images[labels == 0, ::4] += 130
    images[labels == 1, :, ::4] += 130
    return images, labels


@pytest.fixture(scope="module")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, labels = stripes(300)
    path = tmp_path_factory.mktemp("data") / "stripes.npz"
    np.savez(path, images=images, labels=labels)
    return path


def torch_state(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights of a model under reference names, in PyTorch's layout."""
    state = {}
    for (names, *_), weight in zip(candidates(model), model.weights, strict=True):
        value = np.asarray(keras.ops.convert_to_numpy(weight))
        order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(value.ndim)
        state[names[0]] = np.ascontiguousarray(value.transpose(order) if order else value)
    return state


@pytest.fixture(scope="module")
def trained(npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "stripes"
    assert train.main(["--data", f"npz:{npz}", "--out", str(out), *SMALL]) == 0
    return out


def test_the_run_folder_is_whole(trained: Path) -> None:
    read = bundle.read(trained)
    exports = {"float32.tflite", "ptq_int8.tflite", "qat_int8.tflite", "labels.txt", "preprocess.json"}
    exports.add("task.json")
    assert {p.name for p in (trained / "exports").iterdir()} == exports
    expected = {
        "run.json",
        "model.keras",
        "preprocess.json",
        "labels.txt",
        "metrics.json",
        "history.csv",
        "task.json",
    }
    expected |= {
        "task.json",
        "predictions.csv",
        "outputs.npz",
        "MODEL_CARD.md",
        "unknown.npz",
        "report/index.html",
        "history_qat.csv",
        "audit.json",
    }
    expected |= {f"exports/{name}" for name in exports}
    assert set(read.manifest) == expected
    assert read.config["optim"]["epochs"] == 6
    assert read.run["data"]["images"] == {"train": 210, "val": 60, "test": 30}
    assert [p.name for p in trained.parent.iterdir()] == ["stripes"]


def test_the_figures_agree_with_the_predictions(trained: Path) -> None:
    metrics = json.loads((trained / "metrics.json").read_text())
    rows = list(csv.DictReader((trained / "predictions.csv").read_text().splitlines()))
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert metrics["test"]["accuracy"] == right / len(rows)
    assert metrics["test"]["accuracy"] > 0.9, "stripes are easy"
    assert [file["name"] for file in metrics["exports"]["files"]] == ["float32", "ptq_int8", "qat_int8"]
    assert metrics["exports"]["failures"] == []


def test_the_figures_are_scikit_learns_of_the_stored_outputs(trained: Path) -> None:
    held = stored.read(trained, tasks.read(trained))["test"]
    scores = tasks.read(trained).scores(held.outputs)
    overall = json.loads((trained / "metrics.json").read_text())["figures"]["overall"]
    expected = {
        "balanced_accuracy": balanced_accuracy_score(held.labels, scores.argmax(axis=1)),
        "matthews": matthews_corrcoef(held.labels, scores.argmax(axis=1)),
        "auc_macro": roc_auc_score(held.labels, scores, multi_class="ovr"),
        "log_loss": log_loss(held.labels, scores),
    }
    assert {name: overall[name]["value"] for name in expected} == pytest.approx(expected, abs=1e-6)
    for figure in overall.values():
        assert (figure["interval_95"] is None) == ("gap" in figure), "a width, or words"
    card = (trained / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "Measured on 30 test images" in card and "npz:" in card


def test_the_loaded_model_and_its_files_answer_alike(trained: Path) -> None:
    rows = list(csv.DictReader((trained / "predictions.csv").read_text().splitlines()))
    images, _ = stripes(300)
    pixels = np.stack([images[int(row["id"].rsplit("-", 1)[-1])] for row in rows])[..., None]
    model = Predictor.load(trained)
    probabilities = model.predict(pixels)
    # Written to six digits, from batches of another size.
    written = [float(row["probability"]) for row in rows]
    np.testing.assert_allclose(probabilities.max(axis=1), written, rtol=0, atol=2e-6)
    shipped = Predictor.load(trained / "exports" / "float32.tflite").predict(pixels)
    np.testing.assert_allclose(shipped, probabilities, atol=1e-4)


def test_a_file_that_answers_otherwise_fails_the_command(
    npz: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(path: Path, num_threads: int | None = None) -> Runtime:
        opened = open_runtime(path, num_threads)
        if "qat" not in path.name:
            return opened
        return replace(opened, answer=lambda images: np.roll(opened.answer(images), 1, axis=1))

    monkeypatch.setattr(parity, "open_runtime", wrong)
    out = tmp_path / "run"
    assert train.main(["--data", f"npz:{npz}", "--out", str(out), *SMALL, "--epochs", "2"]) == 1
    said = capsys.readouterr().out
    assert "parity gate: qat_int8: agrees with the model it was made from on" in said
    assert said.splitlines()[-1] == f"FAILED the parity gate, do not ship: {out / 'exports'}"
    assert json.loads((out / "metrics.json").read_text())["exports"]["failures"]


def test_a_folder_of_colour_files_trains(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for number in range(60):
        colour = [(200, 40, 40), (40, 200, 40)][number % 2]
        picture = np.clip(draw.normal(colour, 30, (24, 20 + number % 9, 3)), 0, 255).astype(np.uint8)
        path = tmp_path / "data" / ["blue", "green"][number % 2] / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture)
    out = tmp_path / "run"
    words = ["--data", str(tmp_path / "data"), "--out", str(out), "--quantize", "none", "--image-size", "16"]
    assert train.main([*words, *SMALL, "--batch-size", "16", "--cutmix", "1", "--mixup", "0.2"]) == 0
    answer = Predictor.load(out).predict_files([tmp_path / "data" / "green" / "01.png"])
    assert Predictor.load(out).labels[int(answer[0].argmax())] == "green"


def test_a_run_s_weights_start_another(
    trained: Path,
    npz: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From a state file: head on cached features, then all layers, then every export."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    state = tmp_path / "stripes.safetensors"
    save_file(torch_state(bundle.load(trained).model), state)
    words = ["--data", f"npz:{npz}", "--out", str(tmp_path / "run"), *SMALL, "--image-size", "16"]
    words += ["--weights", str(state), "--freeze", "backbone", "--unfreeze-at", "3", "--layer-decay", "0.5"]
    assert train.main(words) == 0
    said = capsys.readouterr().out
    assert f"note: weights from {state}" in said
    assert "epochs 1 to 3: backbone frozen, on features computed once; then all layers to 6" in said
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["config"]["transfer"]["cache_features"] == "true"
    rows = list(csv.DictReader((tmp_path / "run" / "history.csv").read_text().splitlines()))
    assert [int(float(row["epoch"])) for row in rows] == [1, 2, 3, 4, 5, 6]
    # The weights know stripes already: the first epoch is as good as the whole training before.
    assert float(rows[0]["val_accuracy"]) > 0.9
    assert Predictor.load(tmp_path / "run").labels == ("0", "1", "2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--freeze", "backbone"], "would keep random weights"),
        (["--weights", "absent.safetensors"], "absent.safetensors"),
        (["--model", "resnet2O"], "unknown model 'resnet2O': did you mean resnet20"),
        (["--model", "auto(attentoin=se)"], "did you mean attention"),
        (["--model", "auto(attention=sse)"], "did you mean se"),
        (["--epochs", "0"], "--epochs 0: expected more than 0"),
        (["--label-smoothing", "2"], "expected a share from 0 to 1"),
        (["--data", "absent-folder"], "absent-folder"),
        (["--data", "nqz:file.npz"], "did you mean npz"),
        (["--image-size", "4"], "expected at least"),
        (["--recipe", "sampel"], "did you mean sample"),
        (["--epoch", "3"], "--epochs"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        train.main(["--out", str(tmp_path / "run"), *words])
    assert message in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("quantize", ["ptq", "qat"])
def test_a_layer_without_int8_form_stops_before_training(tmp_path: Path, npz: Path, quantize: str) -> None:
    words = ["--data", f"npz:{npz}", "--model", "resnet8(deformable=stage3)"]
    with pytest.raises(InputError, match=r"stage3_block1_conv1 \(DeformableConv2D\).*or --quantize none"):
        train.main([*words, "--quantize", quantize, "--out", str(tmp_path / "run")])
    assert not list(tmp_path.iterdir())


def test_a_class_name_of_two_lines_is_refused(tmp_path: Path) -> None:
    for name in ("cat", "two\nlines"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(10):
            picture = np.full((16, 16, 3), number * 20 + len(name), np.uint8)
            cv2.imwrite(str(tmp_path / "data" / name / f"{number}.png"), picture)
    with pytest.raises(InputError, match="control characters"):
        train.main(["--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_not_ours_is_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not an imgrec run"):
        train.main(["--out", str(tmp_path), "--epochs", "1"])
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    ["alexnet", "resnet50(attention=cbam)", "vit_ti_16"],
)
def test_a_large_model_trains_a_step_and_becomes_int8(tmp_path: Path, model: str) -> None:
    """From a folder of colour JPEGs to int8 files at 224 px; a model of one step may fail the gate."""
    draw = np.random.default_rng(0)
    for number in range(40):
        colour = [(200, 60, 60), (60, 60, 200)][number % 2]
        picture = np.clip(draw.normal(colour, 40, (230, 250, 3)), 0, 255).astype(np.uint8)
        path = tmp_path / "data" / ["warm", "cold"][number % 2] / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture)
    out = tmp_path / "run"
    words = ["--data", str(tmp_path / "data"), "--out", str(out), "--model", model, "--epochs", "1"]
    words += ["--batch-size", "28", "--qat-epochs", "1", "--learning-rate", "0.001", "--no-tensorboard"]
    words += ["--calibration-images", "8"]
    assert train.main(words) in (0, 1)
    for name in ("ptq_int8", "qat_int8"):
        operators = describe(out / "exports" / f"{name}.tflite")
        assert not float_operators(operators)
        assert not foreign_operators(operators)
    metrics = json.loads((out / "metrics.json").read_text())
    assert [row["name"] for row in metrics["exports"]["files"]] == ["float32", "ptq_int8", "qat_int8"]
    assert metrics["exports"]["files"][0]["agreement"] == 1.0
