"""Finished runs made into one, as a user does it: measured, predicted with, exported, compared, refused."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from imgrec import bundle
from imgrec.data.sources.sample import load_sample
from imgrec.errors import InputError
from imgrec.runs.comparing import compare
from imgrec.runtimes import open_runtime
from pipelines import ensemble, evaluate, export, predict, train

WORDS = ["--model", "lenet5", "--epochs", "2", "--batch-size", "16", "--learning-rate", "0.02"]
WORDS += ["--quantize", "none", "--precision", "float32", "--no-tensorboard", "--crop", "none"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """240 images of the sample in three classes that are easy to tell apart; no splits given."""
    train = load_sample().train
    chosen = np.concatenate([np.flatnonzero(train.labels == label)[:80] for label in (1, 5, 8)])
    path = tmp_path_factory.mktemp("data") / "things.npz"
    np.savez(path, images=train.images[chosen, ..., 0], labels=np.repeat([0, 1, 2], 80))
    return f"npz:{path}"


@pytest.fixture(scope="module")
def runs(data: str, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three networks of one architecture; the third is the first, some way from where it was trained."""
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        words = ["--seed", str(seed), "--split-seed", "7", "--out", str(folder / f"seed-{seed}")]
        assert train.main(["--data", data, *WORDS, *words]) == 0
    changed(folder / "seed-0", folder / "near", weights=lambda w: w + 0.01 * np.sign(w))
    return [folder / "seed-0", folder / "seed-1", folder / "near"]


def changed(source: Path, out: Path, weights: Any = None, **files: Any) -> Path:
    """Copy a run with other weights, or other values in a JSON file: `run={"key": value}`."""
    shutil.copytree(source, out)
    if weights:
        model = bundle.load(source).model
        model.set_weights([weights(w) for w in model.get_weights()])
        (out / "model.keras").unlink()
        model.save(out / "model.keras")
    for name, values in files.items():
        path = out / f"{name}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    bundle.write_manifest(out)
    return out


def made(runs: list[Path], out: Path, *words: str) -> dict[str, Any]:
    assert ensemble.main([*map(str, runs), "--out", str(out), *words]) == 0
    return json.loads((out / "run.json").read_text())


def probabilities(run: Path, images: np.ndarray) -> np.ndarray:
    outputs = bundle.load(run).model.predict(images.astype("float32"), verbose=0)
    return softmax(outputs.astype("float64"), axis=1)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return load_sample().test.images[:20]


@pytest.fixture(scope="module")
def soft(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("soft") / "soft"
    made(runs, out, "--to", "tflite,onnx")
    return out


def test_an_ensemble_is_a_run_that_answers_the_mean(
    soft: Path, runs: list[Path], images: np.ndarray, tmp_path: Path
) -> None:
    mean = np.mean([probabilities(run, images) for run in runs], axis=0)
    np.testing.assert_allclose(probabilities(soft, images), mean, atol=1e-5)
    held = bundle.read(soft)
    assert [member["path"] for member in held.run["ensemble"]["members"]] == list(map(str, runs))
    metrics = json.loads((soft / "metrics.json").read_text())
    assert {row["name"] for row in metrics["exports"]["files"]} >= {"float32", "ptq_int8", "float32.onnx"}
    assert not metrics["exports"]["failures"]

    together = metrics["ensemble"]
    assert len(together["members"]) == 3 and together["how"] == "soft"
    for row, run in zip(together["members"], runs, strict=True):
        if run.name != "near":
            own = json.loads((run / "metrics.json").read_text())["test"]
            assert row["right"] == pytest.approx(own["accuracy"])
    assert together["together"]["right"] == pytest.approx(metrics["test"]["accuracy"])
    page = (soft / "report" / "index.html").read_text()
    assert "Ensemble and members" in page and "mutual information" in page

    out = tmp_path / "again"
    assert evaluate.main(["--run", str(soft), "--out", str(out)]) == 0
    again = json.loads((out / "metrics.json").read_text())
    assert again["test"]["accuracy"] == metrics["test"]["accuracy"] and again["ensemble"] == together
    assert {run.name for run in compare([soft, runs[1]]).runs} == {"soft", "seed-1"}


@pytest.mark.parametrize("name", ["float32.tflite", "float32.onnx"])
def test_its_files_hold_all_members(soft: Path, runs: list[Path], images: np.ndarray, name: str) -> None:
    opened = open_runtime(soft / "exports" / name)
    colour = np.repeat(images, 3, axis=-1)
    assert opened.scored and opened.image == (28, 28, 3)
    mean = np.mean([probabilities(run, images) for run in runs], axis=0)
    np.testing.assert_allclose(opened.answer(colour), mean, atol=1e-5)


def test_predict_says_how_far_the_members_are_apart(
    soft: Path, runs: list[Path], images: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, image in enumerate(images[:3]):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"no image")
    capsys.readouterr()
    assert predict.main([str(tmp_path), "--run", str(soft), "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ["uncertainty" in row for row in rows] == [True, False, True]
    each = np.stack([probabilities(run, images[[0, 2]]) for run in runs])
    mean = each.mean(axis=0)
    total = -(mean * np.log(mean)).sum(axis=1)
    for row, entropy in zip((rows[0], rows[2]), total, strict=True):
        assert row["uncertainty"]["entropy"] == pytest.approx(entropy, abs=1e-3)
        assert 0 <= row["uncertainty"]["mutual_information"] <= entropy + 1e-6
    assert predict.main([str(tmp_path / "0.png"), "--run", str(runs[0]), "--json"]) == 0
    assert "uncertainty" not in json.loads(capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["hard", "weighted", "stacking"])
def test_other_ways_are_rebuilt_with_what_was_fitted(
    how: str, runs: list[Path], images: np.ndarray, tmp_path: Path
) -> None:
    run = made(runs, tmp_path / how, "--how", how, "--quantize", "none")
    record = run["ensemble"]
    # The images that fitted many weights say nothing of how sure their sum may be.
    assert run["config"]["calibration"]["calibrate"] == ("none" if how == "stacking" else "auto")
    last = bundle.load(tmp_path / how).model.layers[-1]
    each = np.stack([probabilities(run, images) for run in runs])
    found = probabilities(tmp_path / how, images)
    if how == "hard":
        votes = np.eye(3)[each.argmax(axis=2)].mean(axis=0)
        assert np.abs(found - votes).max() < 2e-3
        return
    assert record["origin"] == "validation images" and record["images"] == 48
    assert set(record["cross_entropy"]) >= {"members", "soft", "weighted"}
    if how == "weighted":
        np.testing.assert_allclose(last.get_weights()[0], record["shares"], atol=1e-6)
        np.testing.assert_allclose(found, np.tensordot(record["shares"], each, 1), atol=1e-5)
        return
    kernel, bias = last.get_weights()
    known = np.concatenate(list(np.log(np.maximum(each, 1e-7))), axis=1)
    np.testing.assert_allclose(found, softmax(known @ kernel + bias, axis=1), atol=1e-4)


@pytest.mark.slow
def test_a_soup_is_the_plain_average_of_what_it_took(runs: list[Path], tmp_path: Path) -> None:
    record = made([runs[0], runs[2]], tmp_path / "soup", "--how", "soup", "--quantize", "none")
    told = record["ensemble"]
    assert record["model"]["name"] == "lenet5" and "members" not in record["model"]
    held = [bundle.load(path).model.get_weights() for path in (runs[0], runs[2])]
    wanted = [
        np.mean([held[number][index] for number in told["taken"]], axis=0) for index in range(len(held[0]))
    ]
    for one, other in zip(bundle.load(tmp_path / "soup").model.get_weights(), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)
    assert told["score"] >= max(told["scores"])
    assert len(told["taken"]) == 2  # a step so small loses no image


@pytest.mark.slow
def test_it_is_exported_again_like_any_run(soft: Path, tmp_path: Path) -> None:
    assert export.main(["--run", str(soft), "--quantize", "dynamic", "--out", str(tmp_path / "files")]) == 0
    assert (tmp_path / "files" / "dynamic_int8.tflite").is_file()


@pytest.mark.slow
def test_members_are_trained_once_and_put_together(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "two"
    words = ["--data", data, *WORDS, "--epochs", "1", "--out", str(out), "--members"]
    assert train.main([*words, "2"]) == 0
    held = bundle.read(out)
    configs = [bundle.read(tmp_path / "two.members" / f"seed-{seed}").config for seed in (0, 1)]
    assert [config["run"]["seed"] for config in configs] == [0, 1]
    assert {config["data"]["split_seed"] for config in configs} == {0}
    assert held.run["model"]["options"] == {"how": "soft", "groups": [1, 1], "activation": "softmax"}
    capsys.readouterr()
    shutil.rmtree(out)
    assert train.main([*words, "2"]) == 0
    assert capsys.readouterr().out.count("trained before") == 2 and bundle.read(out)
    with pytest.raises(InputError, match=r"a set of members of other settings \(--epochs was 1, is 3\)"):
        train.main([*words, "2", "--epochs", "3"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{0}"], "1 run to put together: expected 2 or more"),
        (["{0}", "{0}"], "one and the same network"),
        (["{0}", "{soft}"], "is an ensemble itself; name its members"),
        (["{0}", "nowhere"], "no such run folder"),
        (["{0}", "{1}", "--out", "{0}"], "is one of the members"),
        (["{0}", "{1}", "--out", "{0}/exports/both"], "which is sealed"),
        (["{0}", "{renamed}"], "has classes 'bag' that it alone knows, and '2' that it lacks"),
        (["{0}", "{turned}"], "has the same classes in another order"),
        (["{0}", "{larger}"], r"prepares images by size \[32, 32\]"),
        (["{0}", "{elsewhere}"], "not split as"),
        (["{0}", "{wider}", "--how", "soup"], "a soup is of one architecture"),
        (["{0}", "{1}", "--quantize", "loud"], "unknown variant"),
    ],
)
def test_what_does_not_go_together_is_refused(
    words: list[str], message: str, soft: Path, runs: list[Path], tmp_path: Path
) -> None:
    def forged(name: str) -> Path:
        out, near = tmp_path / name, runs[1]
        if name in ("renamed", "turned"):
            changed(near, out)
            (out / "labels.txt").write_text("0\n1\nbag\n" if name == "renamed" else "1\n0\n2\n")
        elif name == "larger":
            changed(near, out, preprocess={"size": [32, 32]})
        elif name == "elsewhere":
            data = {**bundle.read(near).run["data"], "fingerprint": 64 * "0"}
            changed(near, out, run={"data": data})
        else:
            shutil.copytree(near, out)
            record = json.loads((out / "run.json").read_text())
            record["model"]["options"] = {"dropout": 0.5}
            (out / "run.json").write_text(json.dumps(record))
        bundle.write_manifest(out)
        return out

    known = {"{soft}": soft, **{f"{{{number}}}": run for number, run in enumerate(runs)}}
    told = []
    for word in words:
        for name, path in known.items():
            word = word.replace(name, str(path))
        if word.startswith("{"):
            word = str(forged(word.strip("{}")))
        told.append(word)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InputError, match=message):
        ensemble.main([*told, *([] if "--out" in told else ["--out", str(tmp_path / "out")])])
    assert not (tmp_path / "out").exists() and set(before) <= {path.name for path in tmp_path.iterdir()}


def test_answers_of_members_are_not_mixed_up(soft: Path, runs: list[Path]) -> None:
    """The table of the report and the file of answers are of one set of images."""
    with open(soft / "predictions.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    test = json.loads((soft / "metrics.json").read_text())["test"]
    assert sum(row["correct"] == "1" for row in rows) == round(test["accuracy"] * len(rows))
    assert keras.config.floatx() == "float32"
