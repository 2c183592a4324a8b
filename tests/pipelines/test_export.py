"""Files of a finished run, made without training it again: the same bytes."""

import json
from pathlib import Path

import numpy as np
import pytest

from imgrec import bundle
from imgrec.errors import InputError
from imgrec.serving.predictor import Predictor
from pipelines import export, train

WORDS = ["--model", "resnet8(width=8)", "--weights", "none", "--epochs", "2", "--batch-size", "16"]
WORDS += ["--learning-rate", "0.05", "--quantize", "qat", "--qat-epochs", "1", "--calibration-images", "32"]
WORDS += ["--precision", "mixed_bfloat16", "--no-tensorboard"]
CLASSES = ["none", "lying", "standing"]


def stripes(path: Path, count: int, classes: list[str] = CLASSES, seed: int = 0) -> str:
    """No stripes, lying ones, or standing ones, with noise: uint8 `[N, 28, 28]` and labels."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = draw.integers(0, 120, (count, 28, 28), dtype=np.uint8)
    images[labels == 1, ::4] += 130
    images[labels == 2, :, ::4] += 130
    numbers = np.array([classes.index(name) for name in CLASSES])[labels]
    np.savez(path, images=images, labels=numbers, classes=np.array(classes))
    return f"npz:{path}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    train.main(["--data", stripes(folder / "stripes.npz", 150), "--out", str(folder / "stripes"), *WORDS])
    return folder / "stripes"


def test_the_files_are_those_of_the_training(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sealed = bundle.verify(run)
    export.main(["--run", str(run), "--to", "tflite"])
    out = run.with_name("stripes.exports") / "qat"
    assert str(out) in capsys.readouterr().out.splitlines()[-1]
    for name in ("float32", "ptq_int8", "qat_int8"):
        made = json.loads((out / "manifest.json").read_text())[f"{name}.tflite"]
        assert made == sealed[f"exports/{name}.tflite"], name
    assert bundle.verify(run) == sealed
    told, before = (json.loads((each / "metrics.json").read_text())["exports"] for each in (out, run))
    assert [row["agreement"] for row in told["files"]] == [row["agreement"] for row in before["files"]]
    assert told["images"] == before["images"] and told["failures"] == before["failures"]
    # It can be shipped alone, as exports/ of a run.
    assert Predictor.load(out / "qat_int8.tflite").task.classes == tuple(CLASSES)
    assert not (out / "checkpoints").exists()

    export.main(["--run", str(run), "--quantize", "none"])
    files = {path.name for path in (run.with_name("stripes.exports") / "none").glob("*.tflite")}
    assert files == {"float32.tflite"}


def test_every_format_is_measured_and_in_the_manifest(run: Path, tmp_path: Path) -> None:
    to = "onnx,saved_model,triton,openvino"
    out = tmp_path / "out"
    export.main(["--run", str(run), "--to", to, "--quantize", "ptq", "--out", str(out)])
    told = json.loads((out / "metrics.json").read_text())["exports"]
    endings = ("onnx", "savedmodel", "triton", "openvino")
    names = [f"float32.{ending}" for ending in endings]
    names += [f"ptq_int8.{ending}" for ending in endings if ending != "savedmodel"]
    assert [row["name"] for row in told["files"]] == names and told["failures"] == []
    for row in told["files"][:4]:
        assert row["agreement"] == 1.0 and row["max_abs_difference"] < 1e-5, row
        assert row["kilobytes"] > 10
    listed = bundle.verify(out, frozenset())
    assert {"float32.onnx", "float32.savedmodel/1/saved_model.pb", "ptq_int8.openvino/1/model.bin"} <= set(
        listed
    )
    for name in ("float32.onnx", "ptq_int8.triton", "float32.savedmodel"):
        assert Predictor.load(out / name).task.classes == tuple(CLASSES)
    (out / "float32.savedmodel" / "1" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(InputError, match=r"float32\.savedmodel/1/saved_model\.pb is not the file"):
        bundle.verify(out, frozenset())


def test_options_of_a_variant_reach_the_file_and_their_cost_is_told(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export.main(["--run", str(run), "--quantize", "ptq(float=[stem, logits], observer=percentile)"])
    out = run.with_name("stripes.exports") / "ptq-float=-stem-logits-observer=percentile"
    assert {path.name for path in out.glob("*.tflite")} == {"float32.tflite", "ptq_int8.tflite"}
    told = json.loads((out / "metrics.json").read_text())["exports"]
    assert told["costs"][0].startswith("ptq_int8: float32 parts: stem_conv, logits: ")
    assert told["costs"][0] in capsys.readouterr().out.splitlines()
    assert told["files"][1]["agreement"] >= 0.9


def test_other_data_is_matched_by_name(run: Path, tmp_path: Path) -> None:
    data = stripes(tmp_path / "turned.npz", 90, CLASSES[::-1], seed=1)
    words = ["--run", str(run), "--quantize", "none", "--data", data, "--out", str(tmp_path / "out")]
    export.main(words)
    row = json.loads((tmp_path / "out" / "metrics.json").read_text())["exports"]["files"][0]
    own = json.loads((run / "metrics.json").read_text())["test"]["accuracy"]
    assert row["agreement"] == 1.0 and abs(row["accuracy"] - own) < 0.34


def test_what_cannot_be_made_is_refused(run: Path, tmp_path: Path) -> None:
    for words, message in (
        (["--to", "onxx"], "unknown format of --to 'onxx'"),
        (["--out", str(run / "exports")], "lies in the run"),
        (["--quantize", "qat(bits=4)"], "unknown option of variant qat 'bits'"),
        (["--quantize", "ptq(float=stam)"], "did you mean stem"),
    ):
        with pytest.raises(InputError, match=message):
            export.main(["--run", str(run), *words])
