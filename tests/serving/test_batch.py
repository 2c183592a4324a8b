"""A great many images: parts that are done once, commands that are killed, and engines that answer alike."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from linear import pictures
from servers import ROOT

from imgrec.errors import InputError
from imgrec.serving.batch import parts
from imgrec.serving.batch.running import listed
from pipelines import predict


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures, one of them damaged, in two folders."""
    folder = tmp_path_factory.mktemp("photos")
    for number, image in enumerate(pictures(20)):
        path = folder / ("left" if number % 2 else "right") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]))
    (folder / "left" / "5.png").write_bytes(b"\x89PNG\r\n\x1a\nno more of it")
    return folder


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "SIZE", 3)
    monkeypatch.setattr("imgrec.serving.batch.running.SIZE", 3)


def rows(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_file_has_what_is_printed_else(
    photos: Path, linear_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(photos), "--run", str(linear_file)]
    assert predict.main([*words, "--json"]) == 1
    printed = rows(capsys.readouterr().out)
    out = tmp_path / "answers.jsonl"
    for engine in (["plain"], ["dask", "--jobs", "2"]):
        assert predict.main([*words, "--out", str(out), "--engine", *engine]) == 1
        said = capsys.readouterr().out.splitlines()
        assert said[-1] == f"done: {out} (20 rows, not read: 1)"
        assert "20 of 20 images" in said[-2]
        assert rows(out.read_text()) == printed
        assert [path.name for path in tmp_path.iterdir()] == ["answers.jsonl"]
        out.unlink()


def test_parts_that_are_there_are_not_answered_again(
    photos: Path, linear_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "answers.jsonl"
    words = [str(photos), "--run", str(linear_file), "--out", str(out)]
    job = stopped(out, words)
    whole = {part: job.joinpath(f"{part:06d}.jsonl").read_text() for part in (0, 2)}
    job.joinpath("000002.jsonl").write_text(whole[2].replace("probability", "PROBABILITY"))
    with pytest.raises(InputError, match=r"asked something else \(top differ\)"):
        predict.main([*words, "--top", "2"])
    assert predict.main(words) == 1
    assert "going on: 2 of 7 parts" in capsys.readouterr().out
    text = out.read_text()
    assert "PROBABILITY" in text and len(rows(text)) == 20
    assert len({row["path"] for row in rows(text)}) == 20
    with pytest.raises(InputError, match="is there already"):
        predict.main(words)


def stopped(out: Path, words: list[str]) -> Path:
    """Leave what a command leaves that was killed after parts 0 and 2."""
    predict.main(words)
    lines = out.read_text().splitlines(keepends=True)
    out.unlink()
    folder = out.with_name(out.name + ".parts")
    real = parts.merge
    try:
        parts.merge = lambda *arguments: sys.exit("killed")  # type: ignore[assignment]
        with pytest.raises(SystemExit):
            predict.main(words)
    finally:
        parts.merge = real
    for part in range(7):
        path = folder / f"{part:06d}.jsonl"
        assert path.read_text() == "".join(lines[3 * part : 3 * part + 3])
        if part not in (0, 2):
            path.unlink()
    return folder


def test_a_listing_names_paths_and_file_addresses(photos: Path, tmp_path: Path) -> None:
    listing = tmp_path / "listing.txt"
    spaced = tmp_path / "a b.png"
    listing.write_text(f"{photos}/left/1.png\n\nfile://{tmp_path}/a%20b.png\n")
    assert listed(listing) == [photos / "left" / "1.png", spaced]
    listing.write_text("s3://bucket/key.png\n")
    with pytest.raises(InputError, match="mount the bucket"):
        listed(listing)
    listing.write_text("\n")
    with pytest.raises(InputError, match="names no image"):
        listed(listing)
    with pytest.raises(InputError, match="No such file"):
        listed(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--engine", "dask"], "give --out"),
        (["--address", "tcp://127.0.0.1:1", "--out", "x"], "of what"),
        (["--jobs", "-1"], "expected 0 or more"),
        (["--jobs", "4", "--out", "x"], "of what"),
        (["--out", "x", "--model", "lenet5"], "single pictures"),
        (["--out", "x", "--views", "all"], "single pictures"),
    ],
)
def test_flags_that_do_not_go_together(words: list[str], said: str, photos: Path, linear_file: Path) -> None:
    with pytest.raises((InputError, SystemExit), match=said):
        predict.main([str(photos), "--run", str(linear_file), *words])


def test_what_cannot_begin_leaves_nothing(photos: Path, linear_file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(linear_file.parent, damaged)
    (damaged / "linear.tflite").write_bytes(linear_file.read_bytes()[:200])
    before = sorted(tmp_path.iterdir())
    for run in (damaged / "linear.tflite", tmp_path / "nothing", tmp_path / "nothing.tflite"):
        with pytest.raises(InputError):
            predict.main([str(photos), "--run", str(run), "--out", str(tmp_path / "answers.jsonl")])
        assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(InputError, match="no --run"):
        predict.main([str(photos), "--out", str(tmp_path / "answers.jsonl")])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["plain", "dask", "ray"])
def test_a_killed_command_goes_on_and_every_image_has_one_row(
    engine: str, linear_file: Path, tmp_path: Path
) -> None:
    """Killed up to six times at any moment, workers and all that it leaves behind included."""
    if engine == "ray":
        pytest.importorskip("ray", reason="Ray is not installed: its engine was not tried")
    folder, draw = tmp_path / "photos", random.Random(0)
    folder.mkdir()
    for number, image in enumerate(np.random.default_rng(0).integers(0, 256, (6000, 8, 6, 3), np.uint8)):
        cv2.imwrite(str(folder / f"{number:05d}.png"), image)
    words = [sys.executable, "-m", "pipelines.predict", str(folder), "--run", str(linear_file)]
    environment = {**os.environ, "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    out, kills = tmp_path / "answers.jsonl", 0
    for _ in range(40):
        command = subprocess.Popen(
            [*words, "--out", str(out), "--engine", engine], cwd=ROOT, env=environment, start_new_session=True
        )
        done = out.with_name(out.name + ".parts")
        before = len(list(done.glob("*.jsonl")))
        while kills < 6 and command.poll() is None and len(list(done.glob("*.jsonl"))) < before + 2:
            time.sleep(0.01)
        if kills < 6 and command.poll() is None:
            time.sleep(draw.uniform(0, 0.3))
            os.kill(command.pid, signal.SIGKILL)
            kills += 1
        if command.wait() == 0:
            break
    assert kills >= 3 and out.is_file() and not done.exists()
    told = rows(out.read_text())
    assert [row["path"] for row in told] == [str(path) for path in sorted(folder.iterdir())]
    plain = tmp_path / "plain.jsonl"
    assert predict.main([str(folder), "--run", str(linear_file), "--out", str(plain)]) == 0
    assert plain.read_text() == out.read_text()
