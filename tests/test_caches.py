"""The folder of the caches, where there is a home, where it cannot be written, and where there is none."""

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgrec import caches, frameworks
from imgrec.errors import InputError
from imgrec.runs import probes


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No folder decided on yet, temporary files below `tmp_path`, and nothing of the user's in the way."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR", "KERAS_HOME"):
        monkeypatch.setenv(name, "")  # so that it is put back at the end
        monkeypatch.delenv(name)
    caches._locate.cache_clear()
    caches._say.cache_clear()
    yield
    caches._locate.cache_clear()
    caches._say.cache_clear()


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home that cannot be written, by root neither."""
    home = tmp_path / "home"
    home.mkdir()
    real, access = Path.mkdir, os.access

    def mkdir(path: Path, *words: Any, **more: Any) -> None:
        if home in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        real(path, *words, **more)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != home and access(path, mode))
    monkeypatch.setenv("HOME", str(home))
    return home


def test_the_usual_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert caches.cache_folder("audit") == tmp_path / "home/.cache/imgrec/audit"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert caches.cache_folder("audit") == tmp_path / "xdg/imgrec/audit"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # by its specification to be passed over
    assert caches.cache_folder("audit") == tmp_path / "home/.cache/imgrec/audit"


def test_a_home_that_cannot_be_written_is_said_once(
    sealed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = {caches.cache_folder("audit").parent, caches.cache_folder("features").parent}
    (folder,) = folders
    assert folder == tmp_path / "tmp" / f"imgrec-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    said = capsys.readouterr().err
    assert (
        said
        == f"note: {sealed}/.cache/imgrec cannot be written (Permission denied): caches are kept in "
        + (f"{folder}\n")
    )
    assert (
        probes.caches_kept()["folder"] == str(folder)
        and "cannot be written" in probes.caches_kept()["refused"]
    )


def test_keras_and_matplotlib_go_there_too(sealed: Path, tmp_path: Path) -> None:
    caches.settle_others()
    folder = tmp_path / "tmp" / f"imgrec-{os.getuid()}"
    assert os.environ["MPLCONFIGDIR"] == str(folder / "matplotlib")
    assert os.environ["KERAS_HOME"] == str(folder / "keras") and (folder / "keras").is_dir()


def test_a_home_that_can_be_written_is_left_to_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    caches.settle_others()
    assert not {"MPLCONFIGDIR", "KERAS_HOME"} & set(os.environ)


def test_no_home_at_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", lambda _: {}["nobody"])
    assert caches.cache_folder("audit").parent.name == f"imgrec-{os.getuid()}"
    assert "there is no home folder" in capsys.readouterr().err
    caches.settle_others()
    assert frameworks.keras_backend() in ("tensorflow", os.environ.get("KERAS_BACKEND"))


@pytest.mark.parametrize("kind", ["link", "open", "file"])
def test_a_temporary_folder_that_others_may_write_is_not_believed(
    sealed: Path, tmp_path: Path, kind: str
) -> None:
    planted = tmp_path / "tmp" / f"imgrec-{os.getuid()}"
    if kind == "link":
        (tmp_path / "theirs").mkdir(mode=0o700)
        planted.symlink_to(tmp_path / "theirs")
    elif kind == "open":
        planted.mkdir()
        planted.chmod(0o777)
    else:
        planted.write_text("theirs")
    folder = caches.cache_folder("audit").parent
    assert folder != planted and folder.parent == planted.parent and folder.stat().st_mode & 0o777 == 0o700


def test_no_place_at_all_is_one_line(sealed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(sealed / "tmp"))
    with pytest.raises(InputError, match="TMPDIR"):
        caches.cache_folder("audit")
