"""The run folder: whole or absent, and never read against its manifest."""

import json
from pathlib import Path

import pytest

from imgrec import bundle, files, tasks
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel


def write_run(out: Path, note: str = "first") -> None:
    folder = bundle.begin(out)
    files.write_json(folder / "run.json", {"format": bundle.FORMAT, "note": note})
    files.write_text(folder / "preprocess.json", Preprocess(size=(8, 8), colour="grey").to_json())
    tasks.write(folder, Multilabel(("cat", "dog")))
    files.write_text(folder / "model.keras", "weights")
    bundle.finish(folder, out)


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    read = bundle.read(tmp_path / "run")
    assert read.labels == ("cat", "dog") and read.task == Multilabel(("cat", "dog"))
    assert read.preprocess == Preprocess(size=(8, 8), colour="grey")
    assert set(read.manifest) == {"run.json", "preprocess.json", "labels.txt", "task.json", "model.keras"}
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(("kind", "task"), [("one", Multiclass), ("several", Multilabel)])
def test_a_run_from_before_there_were_tasks_is_read(tmp_path: Path, kind: str, task: type) -> None:
    out = tmp_path / "run"
    write_run(out)
    (out / "task.json").unlink()
    held = json.loads((out / "preprocess.json").read_text())
    (out / "preprocess.json").write_text(json.dumps({**held, "labels": kind}))
    bundle.write_manifest(out)
    read = bundle.read(out)
    assert read.task == task(("cat", "dog")) and read.preprocess == Preprocess(size=(8, 8), colour="grey")


@pytest.mark.parametrize("name", ["run.json", "model.keras", "preprocess.json", "labels.txt"])
def test_a_run_lists_what_it_needs(tmp_path: Path, name: str) -> None:
    out = tmp_path / "run"
    write_run(out)
    manifest = json.loads((out / "manifest.json").read_text())
    del manifest[name]
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=rf"does not list {name}"):
        bundle.read(out)


def test_a_new_run_replaces_the_old_one_only_when_finished(tmp_path: Path) -> None:
    out = tmp_path / "run"
    write_run(out)
    folder = bundle.begin(out)
    files.write_json(folder / "run.json", {"format": bundle.FORMAT, "note": "second"})
    assert bundle.read(out).run["note"] == "first"
    write_run(out, "third")  # an unfinished folder is started over
    assert bundle.read(out).run["note"] == "third"


@pytest.mark.parametrize("name", ["model.keras", "labels.txt", "task.json", "run.json"])
def test_a_changed_or_missing_file_is_named(tmp_path: Path, name: str) -> None:
    out = tmp_path / "run"
    write_run(out)
    text = (out / name).read_text()
    (out / name).write_text(text + " ")
    with pytest.raises(InputError, match=rf"{name} is not the file the manifest lists"):
        bundle.read(out)
    (out / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is missing"):
        bundle.read(out)


def test_a_folder_without_manifest_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run folder"):
        bundle.read(tmp_path / "absent")
    write_run(tmp_path / "run")
    (tmp_path / "run" / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"no manifest\.json"):
        bundle.read(tmp_path / "run")


def test_a_manifest_cannot_point_outside(tmp_path: Path) -> None:
    out = tmp_path / "run"
    write_run(out)
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "../secret": "0"}))
    with pytest.raises(InputError, match="outside the run folder"):
        bundle.read(out)


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not an imgrec run"):
        bundle.begin(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        bundle.begin(tmp_path / "file")
    other = tmp_path / "run.unfinished"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="in the way"):
        bundle.begin(tmp_path / "run")
    assert (other / "thesis.txt").exists()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    files.write_text(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        files.write_file(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
