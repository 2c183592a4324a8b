"""Places that a run is written to: links, mount points, foreign parents, full and read-only disks."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_bundle import write_run

from imgrec import bundle, places
from imgrec.errors import InputError

Refuse = Callable[..., None]


@pytest.fixture(autouse=True)
def _no_decisions() -> Iterator[None]:
    places._found.clear()
    yield
    places._found.clear()


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Let functions of the system fail with an error where a path is among their arguments."""

    def install(number: int, path: Path, *functions: tuple[Any, str]) -> None:
        for module, name in functions:
            real = getattr(module, name)

            def failing(*words: Any, _real: Any = real, **more: Any) -> Any:
                if str(path) in {str(word) for word in (*words, *more.values())}:
                    raise OSError(number, os.strerror(number))
                return _real(*words, **more)

            monkeypatch.setattr(module, name, failing)

    return install


RENAME = ((os, "rename"), (os, "replace"))
WRITE = ((tempfile, "mkdtemp"),)


def note(folder: Path) -> str:
    return str(bundle.read(folder).run["note"])


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.mark.parametrize("there", ["nothing", "a folder", "a run"])
def test_a_link_is_followed_and_stays(tmp_path: Path, there: str) -> None:
    target, link = tmp_path / "disk" / "run", tmp_path / "links" / "run"
    link.parent.mkdir()
    link.symlink_to(Path("../disk/run"))
    if there != "nothing":
        target.mkdir(parents=True)
    if there == "a run":
        write_run(target, "old")
    bundle.check_out(link)
    assert bundle.staging_of(link) == tmp_path / "disk" / "run.unfinished"
    write_run(link, "new")
    assert link.is_symlink() and note(link) == note(target) == "new"
    assert (names(link.parent), names(target.parent)) == ({"run"}, {"run"})


def test_a_path_with_dots_is_where_the_system_has_it(tmp_path: Path) -> None:
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "deep")
    write_run(tmp_path / "link" / ".." / "run")
    assert names(tmp_path / "disk") == {"deep", "run"}


def test_what_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "to_file").symlink_to("file")
    for name, message in {
        "file": "is a file",
        "to_file": "is a file",
        "file/run": "file is a file",
        "round": "leads back to itself",
    }.items():
        with pytest.raises(InputError, match=message):
            bundle.check_out(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("kind", ["mount", "mount of its own mind", "parent"])
def test_where_nothing_goes_beside_it_a_run_is_written_inside(
    tmp_path: Path, kind: str, refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    (out / "lost+found").mkdir(parents=True)
    if kind == "mount":
        monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == out)
    elif kind == "parent":
        refuse(errno.EACCES, tmp_path, *WRITE)
    else:
        refuse(errno.EBUSY, out, *RENAME)
    for text in ("first", "second"):
        bundle.check_out(out)
        assert bundle.staging_of(out) == out / ".unfinished"
        assert places.place_of(out).beside("preview.png") == out / "preview.png"
        write_run(out, text)
        assert note(out) == text
        assert names(tmp_path) == {"run"}
        ours = {"manifest.json", "run.json", "preprocess.json", "labels.txt", "task.json", "model.keras"}
        assert names(out) == {"lost+found", *ours}
        (out / "report.html").write_text("of the older run")  # goes with it


def test_the_folder_that_one_stands_in_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_run(Path(), "here")
    assert note(tmp_path) == "here" and os.path.samefile(os.curdir, tmp_path)
    begun = bundle.begin(Path())
    (begun / "run.json").write_text('{"format": 1}')
    (begun / "checkpoints" / "train" / "1-1").mkdir(parents=True)
    monkeypatch.chdir("/")
    places._found.clear()
    assert bundle.unfinished(tmp_path) == (begun, {"format": 1}), "it goes on from elsewhere too"


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    ("number", "functions", "message"),
    [
        (errno.EACCES, WRITE, "Permission denied.*elsewhere"),
        (errno.EROFS, WRITE, "Read-only file system"),
        (errno.ENOSPC, ((os, "fsync"),), "No space left on device.*make room"),
        (errno.EPERM, ((os, "replace"),), "Operation not permitted"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool, number: int, functions: Any, message: str
) -> None:
    out = tmp_path / "a" / "run"
    if there:
        out.mkdir(parents=True)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    for module, name in functions:
        monkeypatch.setattr(module, name, fail)
    for check in (bundle.check_out, places.make_folder):
        with pytest.raises(InputError, match=message):
            check(out)
        if check is bundle.check_out:
            assert names(tmp_path) == ({"a"} if there else set()), "no trace of the probe"


def test_proving_leaves_everything_as_it_was(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    bundle.check_out(tmp_path / "run")
    bundle.check_out(tmp_path / "new" / "run")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("old", [True, False])
def test_a_run_that_cannot_be_renamed_at_last_is_copied(tmp_path: Path, refuse: Refuse, old: bool) -> None:
    out = tmp_path / "run"
    write_run(tmp_path / "template", "new")
    if old:
        write_run(out, "old")
    staging = bundle.begin(out)
    shutil.copytree(tmp_path / "template", staging, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "template")
    refuse(errno.EXDEV, out, *RENAME)
    assert bundle.finish(staging, out) == out
    assert note(out) == "new" and names(tmp_path) == {"run"} and ".unfinished" not in names(out)


def test_a_run_that_cannot_be_put_anywhere_stays_whole_and_is_named(
    tmp_path: Path, refuse: Refuse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    write_run(tmp_path / "template", "new")
    write_run(out, "old")
    staging = bundle.begin(out)
    shutil.copytree(tmp_path / "template", staging, dirs_exist_ok=True)
    refuse(errno.EXDEV, out, *RENAME)
    monkeypatch.setattr(shutil, "copytree", lambda *_, **__: os.listdir("/nowhere"))
    assert bundle.finish(staging, out) == staging == tmp_path / "run.unfinished"
    assert (note(out), note(staging)) == ("old", "new")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(tmp_path / "run.unfinished") in said and "cross-device" in said


@pytest.mark.parametrize("stop", range(1, 13))
def test_an_end_while_it_is_filled_leaves_no_half_run_that_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Ended at any rename, the place holds the old run, the new one or none, and takes another."""
    out = tmp_path / "run"
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == out)
    out.mkdir()
    write_run(out, "old")
    real, count = os.replace, 0

    def ended(source: Any, target: Any) -> None:
        nonlocal count
        if ".tmp" not in str(source) and "probe" not in str(source):
            count += 1
            if count == stop:
                raise SystemExit(137)
        real(source, target)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(os, "replace", ended)
        write_run(out, "new")
    bundle.release(out / ".unfinished")
    if stop > 1:  # a run that is half gone is no run
        with pytest.raises(InputError):
            bundle.read(out)
    write_run(out, "third")
    assert note(out) == "third" and not {".unfinished", ".replaced"} & names(out)


def test_a_folder_in_the_way_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "run.replaced").mkdir()
    (tmp_path / "run.replaced" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="in the way"):
        bundle.begin(tmp_path / "run")
