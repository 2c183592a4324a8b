"""The audit command: its files, its exit codes, and what training makes of its lists."""

import csv
import json
import re
import subprocess
import sys

import numpy as np
import pytest

from imgrec.data.audit import suspects
from imgrec.errors import InputError
from pipelines import audit, train

NOT_NOW = ["--suspects", "false"]


def png(seed, side=24):
    import cv2

    draw = np.random.default_rng(seed)
    small = draw.uniform(0, 255, (5, 5, 3)).astype(np.float32)
    image = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".png", np.clip(image, 0, 255).astype(np.uint8))[1].tobytes()


@pytest.fixture
def photos(tmp_path):
    """Two classes of 20 files in train and 10 in test; nothing wrong with them."""
    for part, count in (("train", 20), ("test", 10)):
        for number, name in enumerate(("a", "b")):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for n in range(count):
                seed = n + 100 * number + 1000 * (part == "test")
                (folder / f"{n:02d}.png").write_bytes(png(seed))
    return tmp_path / "photos"


def run(photos, *words):
    out = photos.parent / "out"
    code = audit.main(["--data", str(photos), "--out", str(out), *words])
    return code, json.loads((out / "audit.json").read_text()), out


def test_clean_files_exit_0_and_list_nothing(photos):
    code, found, out = run(photos, *NOT_NOW)
    assert code == 0 and found["issues"] == [] and found["images"] == 60 and found["files"] == 60
    rows = list(csv.DictReader((out / "images.csv").read_text().splitlines()))
    assert len(rows) == 60 and {row["split"] for row in rows} == {"train", "val", "test"}
    assert all(
        0 < float(row["brightness"]) < 1 and re.fullmatch("[0-9a-f]{16}", row["phash"]) for row in rows
    )
    assert sorted(path.name for path in out.iterdir()) == ["audit.json", "images.csv", "index.html"]


def test_broken_files_exit_1_and_are_listed_by_path(photos):
    (photos / "train" / "a" / "03.png").write_bytes(b"")
    (photos / "train" / "b" / "07.png").write_bytes(png(107)[:90])
    (photos / "test" / "b" / "leak.png").write_bytes((photos / "train" / "b" / "05.png").read_bytes())
    code, found, out = run(photos, *NOT_NOW)
    assert code == 1
    assert {(f["id"], f["code"], f["severity"]) for f in found["issues"]} == {
        ("train/a/03.png", "empty", "error"),
        ("train/b/07.png", "truncated", "error"),
        ("train/b/05.png", "duplicate_across_splits", "warning"),
        ("test/b/leak.png", "duplicate_across_splits", "warning"),
    }
    assert found["counts"] == {"empty": 1, "truncated": 1, "duplicate_across_splits": 2}
    rows = {row["id"]: row for row in csv.DictReader((out / "images.csv").read_text().splitlines())}
    assert (
        len(rows) == 61 and rows["train/a/03.png"]["codes"] == "empty" and not rows["train/a/03.png"]["blur"]
    )


def test_doubts_alone_exit_0(photos):
    (photos / "test" / "b" / "leak.png").write_bytes((photos / "train" / "b" / "05.png").read_bytes())
    assert run(photos, *NOT_NOW)[0] == 0


def test_the_page_stands_alone_and_escapes_names(photos):
    (photos / "train" / "a" / "<b>&.png").write_bytes(b"?")
    (photos / "train" / "a" / "twin.png").write_bytes((photos / "train" / "a" / "00.png").read_bytes())
    _, _, out = run(photos, *NOT_NOW)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "train/a/&lt;b&gt;&amp;.png" in page and "<b>&.png" not in page
    assert page.count("data:image/png;base64,") >= 2 + 4 * 6
    assert page.count("<script>") == 1  # the page's own, which its policy names
    assert not re.search(r"https?://|<script |src=\"(?!data:)|href=\"(?!#)", page)


def test_policies(photos, capsys):
    broken = photos / "train" / "a" / "03.png"
    broken.write_bytes(b"")
    with pytest.raises(InputError, match=r"train/a/03\.png: empty file"):
        run(photos, *NOT_NOW, "--policy", "strict")
    assert (photos.parent / "out" / "audit.json").is_file(), "the findings are written all the same"
    assert run(photos, *NOT_NOW, "--policy", "skip")[0] == 0 and not (photos / "quarantine.txt").exists()
    assert run(photos, *NOT_NOW, "--policy", "quarantine")[0] == 0
    assert "train/a/03.png\tempty" in (photos / "quarantine.txt").read_text() and broken.exists()
    code, found, _ = run(photos, *NOT_NOW)
    assert code == 0 and [(f["id"], f["code"]) for f in found["issues"]] == [
        ("train/a/03.png", "quarantined")
    ]


def test_classes_are_judged(photos):
    (photos / "test" / "c").mkdir()
    (photos / "test" / "c" / "x.png").write_bytes(png(5000))
    (photos / "train" / "empty").mkdir()
    for n in range(12):
        (photos / "train" / "b" / f"{n:02d}.png").unlink()
    code, found, _ = run(photos, *NOT_NOW)
    assert code == 1
    assert {(f["id"], f["code"]) for f in found["issues"] if f["code"] != "near_duplicate"} == {
        ("test/c", "class_only_outside_train"),
        ("train/empty", "empty_class"),
        ("test/empty", "class_missing_from_split"),
        ("train/b", "tiny_class"),
    }


def test_pictures_without_class_folders_are_audited(tmp_path):
    folder = tmp_path / "loose"
    folder.mkdir()
    for n in range(12):
        (folder / f"{n:02d}.png").write_bytes(png(n))
    (folder / "copy.png").write_bytes(png(3))
    (folder / "notes.txt").write_text("x")
    code, found, out = run(folder)
    assert code == 0 and found["images"] == found["files"] == 13
    assert {(f["id"], f["code"]) for f in found["issues"]} == {
        ("03.png", "duplicate"),
        ("copy.png", "duplicate"),
    }
    assert any("no class folders: only the images were looked at" in note for note in found["notes"])
    rows = list(csv.DictReader((out / "images.csv").read_text().splitlines()))
    assert len(rows) == 13 and {row["class"] for row in rows} == {""}
    (folder / "broken.png").write_bytes(png(5)[:60])
    assert run(folder)[0] == 1
    with pytest.raises(
        InputError, match=r"images but no class folders; expected one folder of images a class"
    ):
        train.main(["--data", str(folder), "--out", str(tmp_path / "run")])
    with pytest.raises(InputError, match="an empty folder"):
        (tmp_path / "empty").mkdir()
        audit.main(["--data", str(tmp_path / "empty"), "--out", str(tmp_path / "out2")])


def test_arrays_are_audited(tmp_path):
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (40, 12, 12, 3), dtype=np.uint8)
    images[39] = images[0]
    np.savez(tmp_path / "set.npz", x_train=images[:30], y_train=np.arange(30) % 2, x_test=images[30:],
             y_test=np.arange(10) % 2)  # fmt: skip
    out = tmp_path / "out"
    assert audit.main(["--data", f"npz:{tmp_path / 'set.npz'}", "--out", str(out), *NOT_NOW]) == 0
    issues = json.loads((out / "audit.json").read_text())["issues"]
    assert {f["id"] for f in issues if f["code"] == "duplicate_across_splits"} == {
        "train-00000",
        "test-00009",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "nowhere"], "nowhere: no such folder"),
        (["--data", "npz:none.npz"], "no such file"),
        (["--policy", "delete"], "policy"),
        (["--out", "{file}"], "is a file"),
        (["--policy", "quarantine", "--data", "{set}"], None),
    ],
)
def test_bad_usage_is_refused(tmp_path, words, message):
    (tmp_path / "file").write_text("x")
    np.savez(tmp_path / "set.npz", x=np.zeros((9, 4, 4), np.uint8), y=np.arange(9) % 2)
    words = [w.format(file=tmp_path / "file", set=f"npz:{tmp_path / 'set.npz'}") for w in words]
    words += ["--out", str(tmp_path / "out")] if "--out" not in words else []
    if message is None:
        assert audit.main([*words, *NOT_NOW]) == 0
        return
    with pytest.raises(InputError, match=message):
        audit.main([*words, *NOT_NOW])


def test_help_is_quick_and_needs_no_framework():
    code = "import sys; sys.argv = ['audit', '--help']\nfrom pipelines import audit\n"
    code += "try:\n    audit.main()\nexcept SystemExit:\n    pass\n"
    code += "bad = {'tensorflow', 'keras', 'cv2', 'numpy', 'sklearn'} & set(sys.modules)\nassert not bad, bad"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--max-bytes" in done.stdout and "--policy" in done.stdout


def test_without_cleanlab_it_says_what_was_not_looked_for(photos, monkeypatch):
    monkeypatch.setattr(suspects, "is_installed", lambda: False)
    _, found, _ = run(photos)
    assert any("wrong labels were not looked for" in n and "imgrec[audit]" in n for n in found["notes"])
    with pytest.raises(InputError, match=r"--suspects true.*imgrec\[audit\]"):
        run(photos, "--suspects", "true")


def test_suspects_are_listed_and_training_leaves_them_out(tmp_path):
    """Stripes of two directions, three of them under the wrong label."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 60, (120, 16, 16), dtype=np.uint8)
    images[:60, ::4] += 150
    images[60:, :, ::4] += 150
    labels = np.arange(120) // 60
    for place in (5, 30, 100):
        labels[place] = 1 - labels[place]
    np.savez(tmp_path / "set.npz", x=images, y=labels)
    spec, out = f"npz:{tmp_path / 'set.npz'}", tmp_path / "out"
    assert audit.main(["--data", spec, "--out", str(out), "--suspects", "true"]) == 0
    found = json.loads((out / "audit.json").read_text())
    assert {f["id"] for f in found["issues"] if f["code"] == "label_suspect"} == {
        "train-00005", "train-00030", "train-00100",
    }  # fmt: skip
    from imgrec.config import DataConfig
    from imgrec.data.sources.load import load_source

    source = load_source(DataConfig(data=spec, quarantine=str(out / "suspects.txt")), 0)
    assert sum(len(split) for split in source.splits.values()) == 117


def test_strict_training_stops_before_anything_is_written(photos):
    (photos / "train" / "a" / "03.png").write_bytes(b"")
    out = photos.parent / "run"
    with pytest.raises(InputError, match=r"train/a/03\.png: empty file"):
        train.main(["--data", str(photos), "--out", str(out)])
    assert not out.exists() and not out.with_name("run.unfinished").exists()
