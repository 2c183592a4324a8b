"""What files cost, by the command: figures, page, JSON, and what is refused."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import keras
import numpy as np
import pytest

from imgrec import bundle
from imgrec.compression import cost
from imgrec.errors import InputError
from imgrec.evaluation.figures import Point, front
from imgrec.export import litert
from imgrec.export.work import work
from imgrec.models import build_model
from imgrec.runs.benchmark import measuring, subjects
from imgrec.runs.benchmark.subjects import Subject
from pipelines import benchmark

QUICK = ["--seconds", "0.01", "--threads", "1"]


def small() -> keras.Model:
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    x = keras.layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = keras.layers.Flatten(name="flat")(x)
    return keras.Model(image, keras.layers.Dense(5, name="logits")(x))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files as `exports/` has them, and the gate's figures of one of them."""
    there = tmp_path_factory.mktemp("run")
    litert.to_float32(small(), there / "exports" / "float32.tflite")
    litert.to_float32(small(), there / "exports" / "other.tflite")
    rows = [{"name": "float32", "accuracy": 0.5}]
    (there / "metrics.json").write_text(json.dumps({"exports": {"files": rows}}))
    return there / "exports"


def test_files_are_measured_with_and_without_quick_kernels(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    files = [str(folder / "float32.tflite"), str(folder / "other.tflite")]
    assert benchmark.main([*files, *QUICK, "--out", str(page)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:5] == ["file", "KB", "accuracy", "threads", "XNNPACK"]
    assert [line.split()[0] for line in lines[1:5]] == ["float32.tflite"] * 2 + ["other.tflite"] * 2
    assert [line.split()[2:5] for line in lines[1:4]] == [
        ["50.00%", "1", "on,"],
        ["50.00%", "1", "off"],
        ["–", "1", "on,"],
    ]
    assert lines[-1] == f"done: {page}"
    text = page.read_text(encoding="utf-8")
    assert (
        "<svg" in text and "http:" not in text.replace("http://www.w3.org", "") and "float32.tflite" in text
    )


def test_json_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.main([str(folder / "float32.tflite"), *QUICK, "--json"])
    told = json.loads(capsys.readouterr().out)
    row = told["rows"][0]
    assert 0 < row["ms_p50"] <= row["ms_p90"] and row["megabytes_in_all"] > row["megabytes"] > 0
    assert row["macs"] == 6 * 6 * 4 * 27 + 4 * 4 * 4 * 9 + 64 * 5
    assert row["microjoules"] == pytest.approx(row["macs"] * 4.6e-6)
    assert row["kilobytes"] == (folder / "float32.tflite").stat().st_size / 1000
    assert not (folder / "benchmark.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "either files or --run"),
        (["--peers", "float32.tflite"], "--peers: needs --run"),
        (["float32.tflite", "--seconds", "0"], "--seconds 0: expected above 0"),
        (["float32.tflite", "--threads", "0"], "--threads 0: expected 1 to"),
        (["float32.tflite", "--out", "page.txt"], "ends in .html"),
        (["gone.tflite"], "no such file"),
        (["broken.tflite"], "not a TFLite file that can be run here"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: list[str], message: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "float32.tflite").write_bytes((folder / "float32.tflite").read_bytes())
    (tmp_path / "broken.tflite").write_bytes(b"none" * 100)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with pytest.raises(InputError, match=message):
        benchmark.main(words)


def test_multiplications_of_a_file_are_those_of_the_model(tmp_path: Path) -> None:
    model = build_model("mobilenet_v3_small", (32, 32, 3), 10)
    path = litert.to_float32(model, tmp_path / "float32.tflite")
    counted = sum(part.macs for part in cost.parts(model, ("logits",)))
    assert work(path).macs == counted


def test_all_take_turns_and_medians_are_of_rounds(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []
    figures = iter(range(1, 100))

    def ask(subject: Subject, task: dict) -> dict[str, float]:
        asked.append((subject.name, task["xnnpack"]))
        keys = ("ms_p50", "ms_p90", "images_per_second", "megabytes", "megabytes_in_all", "pieces")
        return dict.fromkeys(keys, float(next(figures)))

    monkeypatch.setattr(measuring, "_ask", ask)
    rows = measuring.measure(subjects.of_files([folder / "float32.tflite"]), [1], 1.0, 3)
    assert asked == [("float32.tflite", True), ("float32.tflite", False)] * 3
    assert [row.ms_p50 for row in rows] == [3.0, 4.0], "of 1, 3, 5 and of 2, 4, 6"


def test_threads_are_powers_of_two_and_all_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "cores", lambda: 6)
    assert measuring.thread_counts(()) == [1, 2, 4, 6]
    assert measuring.thread_counts((3,)) == [3]


def test_what_a_peer_lacks_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = SimpleNamespace(run={"model": {"name": "resnet50", "options": {}}})
    monkeypatch.setattr(subjects, "_installed", lambda package: False)
    _, missing = subjects._others(cast(bundle.Bundle, held), [])
    assert missing == [
        "ONNX Runtime: pip install 'imgrec[onnx]'",
        "PyTorch: pip install timm, which brings torch",
    ]


def test_the_front_is_what_nothing_beats_in_both() -> None:
    points = [Point("a", 1.0, 80.0, 4.0), Point("b", 2.0, 90.0, 8.0), Point("c", 3.0, 85.0, 1.0)]
    svg = front("accuracy, %", points, highest=True)
    assert "aria-label=" in svg and svg.count("<use") + svg.count("<path") >= 4
    assert np.all([f">{name}<" in svg for name in "abc"])
