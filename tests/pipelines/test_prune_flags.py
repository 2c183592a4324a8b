"""Files of a pruned network: at the end of a training, and of a finished run."""

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from imgrec import bundle
from imgrec.compression.cost import macs
from imgrec.compression.pruning.sparse import zeros
from imgrec.errors import InputError
from imgrec.runtimes import open_runtime
from pipelines import export, predict, train

WORDS = ["--model", "resnet8(width=8)", "--weights", "none", "--epochs", "2", "--batch-size", "16"]
WORDS += [
    "--learning-rate",
    "0.05",
    "--qat-epochs",
    "1",
    "--calibration-images",
    "32",
    "--precision",
    "float32",
]
PRUNE = "channels(macs=0.4, epochs=2)"


def stripes(path: Path, count: int = 120) -> str:
    """No stripes, lying ones, or standing ones, with noise: uint8 `[N, 24, 24]` and labels."""
    draw = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = draw.integers(0, 120, (count, 24, 24), dtype=np.uint8)
    images[labels == 1, ::4] += 130
    images[labels == 2, :, ::4] += 130
    np.savez(path, images=images, labels=labels, classes=np.array(["none", "lying", "standing"]))
    return f"npz:{path}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    words = ["--data", stripes(folder / "stripes.npz"), "--out", str(folder / "stripes"), "--no-tensorboard"]
    train.main([*words, *WORDS, "--quantize", "qat", "--prune", PRUNE])
    return folder / "stripes"


def test_a_training_ships_the_pruned_network_beside_the_trained_one(run: Path) -> None:
    exported = json.loads((run / "metrics.json").read_text())["exports"]
    rows = {row["name"]: row for row in exported["files"]}
    assert list(rows) == ["float32", "pruned_float32", "pruned_ptq_int8", "pruned_qat_int8"]
    assert rows["pruned_float32"]["agreement"] == rows["float32"]["agreement"] == 1.0
    assert rows["pruned_float32"]["kilobytes"] < rows["float32"]["kilobytes"]
    assert [row["float_accuracy"] for row in rows.values()] == [rows["float32"]["accuracy"]] * 4
    history = (run / "history_pruned.csv").read_text().splitlines()
    assert len(history) == 3


def test_the_pruned_network_is_a_run_of_its_own(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, pruned = bundle.load(run), bundle.load(run / "exports" / "pruned")
    assert macs(pruned.model) <= 0.6 * macs(whole.model)
    assert pruned.run["model"]["widths"] and pruned.config["quantize"]["prune"] == "none"
    images = np.random.default_rng(1).integers(0, 255, (4, 24, 24, 1), dtype=np.uint8)
    scores = keras.ops.softmax(pruned.model(images.astype("float32"), training=False))
    shipped = open_runtime(run / "exports" / "pruned_float32.tflite").answer(images)
    np.testing.assert_allclose(shipped, scores, atol=1e-5)
    Image.fromarray(images[0, :, :, 0]).save(run.parent / "one.png")
    predict.main([str(run.parent / "one.png"), "--run", str(run / "exports" / "pruned"), "--json"])
    label = pruned.labels[int(np.argmax(shipped[0]))]
    assert json.loads(capsys.readouterr().out.splitlines()[0])["label"] == label


@pytest.mark.slow
def test_a_finished_run_is_pruned_by_the_export(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export.main(["--run", str(run), "--quantize", "ptq", "--prune", "weights(sparsity=0.6, epochs=2)"])
    out = run.with_name("stripes.exports") / "ptq-pruned-weights-sparsity=0.6-epochs=2"
    said = capsys.readouterr().out
    least, most = map(float, re.search(r"([\d.]+)% to ([\d.]+)% zeros", said).groups())
    assert 59.9 <= least <= most < 62
    files = {path.name for path in out.glob("*.tflite")}
    assert files == {"float32.tflite", "sparse_float32.tflite", "sparse_ptq_int8.tflite"}
    sparse = bundle.load(out / "sparse").model
    assert list(zeros(sparse)) == pytest.approx([0.6] * len(list(zeros(sparse))), abs=0.02)

    # As the training made them, from its weights.
    export.main(["--run", str(run)])
    (again,) = (path for path in run.with_name("stripes.exports").iterdir() if path.name.startswith("qat-"))
    made, before = (json.loads((each / "manifest.json").read_text()) for each in (again, run))
    for name in ("pruned_float32", "pruned_ptq_int8", "pruned_qat_int8"):
        assert made[f"{name}.tflite"] == before[f"exports/{name}.tflite"], name


def test_nothing_is_added_to_the_run_that_a_pruned_one_lies_in(run: Path) -> None:
    with pytest.raises(InputError, match=r"pruned\.exports/.*: lies in the run .*, which is sealed"):
        export.main(["--run", str(run / "exports" / "pruned"), "--quantize", "none"])


def test_layers_are_put_in_two_by_the_export(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--quantize", "ptq", "--prune", "low_rank(energy=0.8, epochs=1)"]
    export.main(["--run", str(run), *words])
    assert "multiply-accumulates" in capsys.readouterr().out
    (out,) = (path for path in run.with_name("stripes.exports").iterdir() if "low_rank" in path.name)
    two, whole = bundle.load(out / "low_rank"), bundle.load(run)
    assert two.run["model"]["ranks"] and macs(two.model) < macs(whole.model)
    images = np.random.default_rng(1).integers(0, 255, (4, 24, 24, 1), dtype=np.uint8)
    scores = keras.ops.softmax(two.model(images.astype("float32"), training=False))
    shipped = open_runtime(out / "low_rank_float32.tflite").answer(images)
    np.testing.assert_allclose(shipped, scores, atol=1e-5)
    assert (out / "low_rank_ptq_int8.tflite").is_file()


def test_what_cannot_be_pruned_is_refused_before_anything_is_read(run: Path) -> None:
    with pytest.raises(
        InputError, match=r"--prune channels\(mac=1\): unknown option of pruning channels 'mac'"
    ):
        train.main(["--data", "sample", "--prune", "channels(mac=1)"])
    with pytest.raises(InputError, match=r"--prune: 99% of the multiply-accumulates of 'resnet8' shall go"):
        export.main(["--run", str(run), "--prune", "0.99"])
