"""Flags, recipes and exit codes, as a user meets them."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from imgrec import streams
from imgrec.config import Config
from imgrec.errors import InputError
from pipelines.cli import guarded, parse, read_recipe, recipe_names, take_recipe


def test_flags_are_flat_and_change_the_recipe(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("optim: {epochs: 7, batch_size: 16}\nmodel: lenet5\n")
    config, rest = take_recipe(["--epochs", "3", "--recipe", str(recipe), "--no-flip"])
    config = parse(Config, rest, default=config)
    assert (config.optim.epochs, config.optim.batch_size) == (3, 16)
    assert (config.model.model, config.augment.flip) == ("lenet5", False)


def test_every_shipped_recipe_is_read() -> None:
    assert {"sample", "fashion_mnist"} <= set(recipe_names())
    for name in recipe_names():
        assert isinstance(read_recipe(name), Config)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epoch", "3"], "--epochs"),
        (["--epochs", "many"], "many"),
        (["--resize", "squash"], "letterbox"),
        (["stray"], "stray"),
    ],
)
def test_a_wrong_flag_is_one_line(words: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(Config, words)
    assert message in str(error.value)
    assert "│" not in str(error.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [
                "--model",
                "resnet20",
                "--epochs",
                "3",
                "--model-options",
                "attention=cbam",
                "width=8",
                "--no-flip",
            ],
            '--model-options attention=cbam width=8: write --model "resnet20(attention=cbam, width=8)"',
        ),
        (["--model-options=attention=cbam"], '--model-options attention=cbam: write --model "lenet5(attent'),
        (["--schedule-options", "at=[3]", "--schedule=step"], 'write --schedule "step(at=[3])"'),
        (["--loss_options", "gamma=2", "--loss", "focal"], 'write --loss "focal(gamma=2)"'),
        (
            ["--embedding-loss", "triplet", "--embedding-options", "mining=semi_hard"],
            'write --embedding-loss "triplet(mining=semi_hard)"',
        ),
        (["--imbalance", "decoupled", "--imbalance-options", "share=.4"], '"decoupled(share=0.4)"'),
    ],
)
def test_flags_of_earlier_versions_are_refused_with_the_new_ones(words: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(Config, words, default=Config().replace(model="lenet5"))
    assert message in str(error.value)


def test_an_unknown_recipe_names_the_known() -> None:
    with pytest.raises(InputError, match="unknown recipe 'sampel': did you mean sample"):
        read_recipe("sampel")
    with pytest.raises(InputError, match="no such file"):
        read_recipe("absent.yaml")


def test_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    def bad() -> int:
        raise InputError("what came in,\nwhat was expected")

    with pytest.raises(SystemExit) as stop:
        guarded(bad)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: what came in, what was expected\n"
    with pytest.raises(SystemExit) as stop:
        guarded(lambda: None)
    assert stop.value.code == 0


@pytest.mark.parametrize(
    "job", ["train", "predict", "crossval", "tune", "evaluate", "export", "compare", "enroll"]
)
def test_help_needs_no_framework(job: str) -> None:
    """`--help` answers without TensorFlow, Keras, OpenCV or scikit-learn: that is what makes it quick."""
    code = (
        f"import sys, pipelines.{job} as job\n"
        "try: job.main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'tensorflow', 'keras', 'cv2', 'sklearn', 'matplotlib', 'optuna'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert any(word in done.stdout for word in ("--run", "--data", "RUN"))


def test_an_interrupted_command_says_so() -> None:
    code = "import time; from pipelines.cli import guarded\n"
    code += "print('up', flush=True); guarded(lambda: time.sleep(60))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1.0)
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err.decode().strip()) == (143, "terminated")


@pytest.fixture(scope="module")
def named_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of eight images, named in letters that few encodings have, and one broken file."""
    root = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for name in ("café", "中文"):
        (root / name).mkdir()
        for index in range(8):
            _, data = cv2.imencode(".png", random.integers(0, 255, (16, 16, 3), np.uint8))
            (root / name / f"{index} ✓.png").write_bytes(data.tobytes())
    (root / "café" / "é.png").write_bytes(b"none")
    return root


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_that_is_not_unicode_is_escaped_and_files_are_not(
    named_pictures: Path, tmp_path: Path, encoding: str
) -> None:
    out = tmp_path / "née"
    command = [sys.executable, "-m", "pipelines.audit", "--data", str(named_pictures), "--out", str(out)]
    settings = {"PYTHONIOENCODING": encoding, "HOME": "/nowhere"}
    settings |= {"XDG_CACHE_HOME": str(tmp_path / "c")}
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, timeout=120)
    assert (done.returncode, done.stderr) == (1, b""), "one file is broken"
    shown = b"n\\xe9e" if encoding == "ascii" else "née".encode("cp1252")
    assert done.stdout.splitlines()[-1].endswith(shown + b"/index.html")
    record = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    assert "café/é.png" in {issue["id"] for issue in record["issues"]}
    assert "中文" in (out / "images.csv").read_text(encoding="utf-8")


def test_what_an_encoding_lacks_is_written_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    held = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(held, encoding="ascii"))
    streams.settle()
    print("28 × 28 … café → 中")
    assert not streams.shows_all(sys.stdout)
    sys.stdout.flush()
    assert held.getvalue() == rb"28 x 28 ... caf\xe9 -> \u4e2d" + b"\n"


def test_json_is_json_in_any_encoding() -> None:
    code = "from pipelines.cli import *; guarded(lambda: print_json({'café': '中', 'b': '\\udce9'}))"
    for encoding in ("ascii", "cp1252", "utf-8"):
        settings = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
        assert json.loads(done.stdout.decode(encoding)) == {"café": "中", "b": "\udce9"}


@pytest.mark.parametrize(
    "words", ["print('a')", "[print('a' * 9999) for _ in range(99)]", "main(['--help'])"]
)
def test_it_ends_quietly_where_nobody_reads(words: str) -> None:
    code = f"from pipelines.train import main, guarded; guarded(lambda: {words} and None)"
    reading, writing = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    os.close(reading)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (141, b"")


def test_another_broken_pipe_keeps_its_traceback() -> None:
    def broken() -> int:
        raise BrokenPipeError("a child's")

    with pytest.raises(BrokenPipeError, match="a child's"):
        guarded(broken)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs", "banana"], "--epochs banana: expected INT or auto (--help lists every flag)"),
        (["--batch-size", "x"], "--batch-size x: expected INT or auto or fastest (--help"),
        (["--learning-rate", "fast"], "--learning-rate fast: expected FLOAT or auto (--help"),
        (["--crop-share", "x"], "--crop-share: could not convert string to float: 'x' (--help"),
        (["--flp"], "did you mean --flip? (--help"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        parse(Config, words)
    assert message in str(error.value)
