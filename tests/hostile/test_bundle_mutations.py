"""1,000 random changes to a run folder, one at a time: its manifest finds each."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imgrec import bundle, files, tasks
from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.tasks.multiclass import Multiclass

MUTATIONS = 1_000


@pytest.fixture
def run(tmp_path: Path) -> Path:
    out, rng = tmp_path / "run", random.Random(0)
    folder = bundle.begin(out)
    files.write_json(folder / "run.json", {"format": bundle.FORMAT, "note": "whole"})
    for part in (folder, folder / "exports"):
        files.write_text(part / "preprocess.json", Preprocess(size=(8, 8)).to_json())
        tasks.write(part, Multiclass(("cat", "dog")))
    for name in ("model.keras", "exports/float32.tflite", "report/index.html"):
        files.write_file(folder / name, lambda path: path.write_bytes(rng.randbytes(2000)))
    return bundle.finish(folder, out)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def flip(folder: Path, rng: random.Random) -> None:
    path = chosen(folder, rng)
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def shorten(folder: Path, rng: random.Random) -> None:
    path = chosen(folder, rng)
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data))])


def lengthen(folder: Path, rng: random.Random) -> None:
    path = chosen(folder, rng)
    path.write_bytes(path.read_bytes() + rng.choice([b"\n", b" ", b"\0", b"more"]))


def remove(folder: Path, rng: random.Random) -> None:
    chosen(folder, rng).unlink()


def rename(folder: Path, rng: random.Random) -> None:
    path = chosen(folder, rng)
    path.rename(path.with_name(rng.choice(["copy of ", ".", "x"]) + path.name))


def swap(folder: Path, rng: random.Random) -> None:
    one, other = chosen(folder, rng), chosen(folder, rng)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def add(folder: Path, rng: random.Random) -> None:
    path = (
        folder / rng.choice(["", "exports", "report", "new"]) / rng.choice(["a.tflite", ".hidden", "task.py"])
    )
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(rng.randbytes(rng.randrange(9)))


def entry(folder: Path, rng: random.Random) -> None:
    """Change, drop, rename, add or reorder what the manifest lists."""
    held = list(json.loads((folder / bundle.MANIFEST).read_text()).items())
    at = rng.randrange(len(held))
    name, digest = held[at]
    other = rng.randrange(64)
    match rng.randrange(6):
        case 0:
            held[at] = name, digest[:other] + "0123456789abcdef"[rng.randrange(16)] + digest[other + 1 :]
        case 1:
            del held[at]
        case 2:
            held[at] = rng.choice(["./", "exports/../", "/"]) + name, digest
        case 3:
            held.append((f"new{other}", digest))
        case 4:
            rng.shuffle(held)
        case 5:
            held[at] = name, rng.choice([digest.upper(), None, 5, [digest]])
    files.write_json(folder / bundle.MANIFEST, dict(held))


def chosen(folder: Path, rng: random.Random) -> Path:
    return rng.choice(sorted(p for p in folder.rglob("*") if p.is_file()))


CHANGES: list[Callable[[Path, random.Random], None]] = [
    flip, flip, shorten, lengthen, remove, rename, swap, add, entry, entry
]  # fmt: skip


def changed(run: Path, rng: random.Random) -> Iterator[str]:
    """Change the folder in one way after another, each time from what it was; name the way."""
    whole = contents(run)
    while True:
        change = rng.choice(CHANGES)
        change(run, rng)
        if contents(run) != whole:
            yield change.__name__
        shutil.rmtree(run)
        for name, data in whole.items():
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (run / name).write_bytes(data)


def test_every_change_is_found(run: Path) -> None:
    kinds: dict[str, int] = {}
    changes = changed(run, random.Random(18))
    for _ in range(MUTATIONS):
        kind = next(changes)
        kinds[kind] = kinds.get(kind, 0) + 1
        with pytest.raises(InputError) as caught:
            bundle.read(run)
        assert "\n" not in str(caught.value)
    assert sum(kinds.values()) == MUTATIONS and len(kinds) == 8, kinds
    changes.close()


def test_what_desktops_leave_is_no_change(run: Path) -> None:
    (run / "report" / ".DS_Store").write_bytes(b"view")
    assert bundle.read(run).run["note"] == "whole"
