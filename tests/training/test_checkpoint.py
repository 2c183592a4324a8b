"""Checkpoints on disk: whole or not there, and every changed byte found."""

import errno
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.training.checkpointing.callback import Interval
from imgrec.training.checkpointing.store import ARRAYS, FILES, Checkpoints, Snapshot, Step

FACTS = {"config": "c" * 8, "data": "d" * 8}
MANIFEST = "manifest.json"


def snapshot(epoch: int, step: int, size: int = 50) -> Snapshot:
    draw = np.random.default_rng(epoch * 100 + step)
    arrays = {kind: [draw.normal(0, 1, (size, 3)).astype("float32"), np.uint32([1, 2])] for kind in ARRAYS}
    return Snapshot(Step(0, epoch, step), arrays, {"history": [{"loss": 0.1}], "best": [-1.0, float("-inf")]})


def assert_equal(one: Snapshot, two: Snapshot) -> None:
    assert one.at == two.at
    assert one.state == two.state
    for kind in ARRAYS:
        for a, b in zip(one.arrays[kind], two.arrays[kind], strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.fixture
def kept(tmp_path: Path) -> Checkpoints:
    kept = Checkpoints(tmp_path / "train", FACTS)
    for place in ((0, 5), (0, 10), (1, 0)):
        kept.save(snapshot(*place))
    return kept


def test_the_newest_is_read_as_it_was_written_and_two_stay(kept: Checkpoints) -> None:
    assert_equal(kept.newest() or snapshot(9, 9), snapshot(1, 0))
    assert kept.names() == ["000-000000-00000010", "000-000001-00000000"]
    assert Checkpoints(kept.folder / "absent", FACTS).newest() is None


def damages(whole: bytes) -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "truncated", whole[: len(whole) // 2]
    yield "short by a byte", whole[:-1]
    yield "zeroed", bytes(len(whole))
    for offset in np.linspace(0, len(whole) - 1, 20).astype(int):
        flipped = bytearray(whole)
        flipped[offset] ^= 1 << offset % 8
        yield f"bit flipped at {offset}", bytes(flipped)


@pytest.mark.parametrize("name", sorted(FILES | {MANIFEST}))
def test_any_damage_is_found_and_the_one_before_taken(
    kept: Checkpoints, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    newest, before = kept.folder / "000-000001-00000000", snapshot(0, 10)
    spare = kept.folder.parent / "spare"
    shutil.copytree(kept.folder, spare)
    cases = 0
    for what, damaged in damages((newest / name).read_bytes()):
        (newest / name).write_bytes(damaged)
        found = kept.newest()
        assert found is not None, what
        assert_equal(found, before)
        said = capsys.readouterr().out
        assert said.startswith("checkpoint 000-000001-00000000: "), what
        assert said.endswith("; going back to 000-000000-00000010\n"), what
        assert (name in said) or "cannot be read" in said, what
        cases += 1
        shutil.rmtree(kept.folder)
        shutil.copytree(spare, kept.folder)
    assert cases == 24
    (newest / name).unlink()
    assert (kept.newest() or snapshot(9, 9)).at == before.at
    assert [p.name for p in sorted(kept.folder.iterdir())][-1].endswith("00000000.damaged")
    kept.save(snapshot(1, 0))  # and what was lost can be written again
    assert_equal(kept.newest() or snapshot(9, 9), snapshot(1, 0))


def test_where_none_is_whole_it_does_not_begin_anew(kept: Checkpoints) -> None:
    for name in kept.names():
        (kept.folder / name / "model.npz").write_bytes(b"")
    with pytest.raises(InputError, match=r"no checkpoint is whole \(.*model\.npz: not.*--restart"):
        kept.newest()


def test_another_training_s_and_another_format_are_refused(kept: Checkpoints) -> None:
    with pytest.raises(InputError, match="saved by a training with another data; --restart"):
        Checkpoints(kept.folder, {**FACTS, "data": "other"}).newest()
    state = kept.folder / kept.names()[-1] / "state.json"
    old = state.read_text()
    state.write_text(json.dumps({**json.loads(old), "format": 9}))
    manifest = state.with_name(MANIFEST)
    from imgrec.files import sha256_of

    listed = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**listed, "state.json": sha256_of(state)}, indent=1))
    with pytest.raises(InputError, match="checkpoint format 9, this version reads 2"):
        kept.newest()


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 256 KB; where none may be mounted, writes that fail as on a full one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    if shutil.which("mount") and subprocess.run(mount, capture_output=True).returncode == 0:
        yield place
        subprocess.run(["umount", str(place)], check=True)
        return
    honest = np.savez

    def savez(path: Path, **arrays: np.ndarray) -> None:
        if sum(array.nbytes for array in arrays.values()) > 50_000:
            path.write_bytes(bytes(1000))
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        honest(path, **arrays)

    monkeypatch.setattr(np, "savez", savez)
    yield place


def test_a_full_disk_leaves_the_one_before(small_disk: Path) -> None:
    kept = Checkpoints(small_disk / "train", FACTS)
    kept.save(snapshot(0, 5))
    with pytest.raises(OSError, match="No space left on device") as error:
        kept.save(snapshot(0, 10, size=20_000))
    assert error.value.errno == errno.ENOSPC
    assert [path.name for path in kept.folder.iterdir()] == ["000-000000-00000005"]
    assert_equal(kept.newest() or snapshot(9, 9), snapshot(0, 5))
    kept.save(snapshot(1, 0))  # what was begun takes no room
    assert_equal(kept.newest() or snapshot(9, 9), snapshot(1, 0))


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("25", Interval(steps=25)),
        ("10m", Interval(seconds=600)),
        ("0.5m", Interval(seconds=30)),
        ("1e", Interval(epochs=1)),
        *((text, None) for text in ("0", "0m", "-3", "", "5s", ".5m", "1.5e", "nan")),
    ],
)
def test_how_often(text: str, interval: Interval | None) -> None:
    if interval is None:
        with pytest.raises(InputError, match=r"expected steps \(25\), minutes \(10m\) or epochs \(1e\)"):
            Interval.parse(text)
    else:
        assert Interval.parse(text) == interval
    assert Interval(steps=25).is_due(25, 0, 0)
    assert not Interval(steps=25).is_due(24, 999, 9)
    assert Interval(seconds=30).is_due(1, 30, 0)
    assert not Interval(seconds=30).is_due(0, 99, 0), "nothing was done since"
    assert Interval(epochs=2).is_due(1, 0, 2)
