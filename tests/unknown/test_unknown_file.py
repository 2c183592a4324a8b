"""unknown.npz comes back as it was written, and a file that somebody changed is refused by name."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.unknown import stored
from imgrec.unknown.detector import Detector
from imgrec.unknown.scores import Seen

Arrays = dict[str, np.ndarray]


def detector() -> Detector:
    draw = np.random.default_rng(0)
    labels = np.arange(60) % 3
    features = draw.normal(size=(60, 8)).astype(np.float32) + labels[:, None]
    logits = features[:, :3]
    scores = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    seen = Seen(scores, logits, features)
    return Detector.fit(seen, labels, seen)


def rewritten(folder: Path, change: Callable[[Arrays], object]) -> Path:
    stored.write(folder, detector())
    with np.load(folder / stored.FILE) as held:
        arrays = dict(held)
    change(arrays)
    np.savez(folder / stored.FILE, **arrays)
    return folder


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    made = detector()
    stored.write(tmp_path, made)
    read = stored.read(tmp_path, 3)
    assert read is not None and read.false_alarms == made.false_alarms and read.images == 60
    assert list(read.validation) == list(made.validation)
    draw = np.random.default_rng(1)
    new = Seen(np.full((5, 3), 1 / 3, np.float32), np.zeros((5, 3), np.float32), draw.normal(size=(5, 8)))
    for name, values in made.values(new).items():
        np.testing.assert_array_equal(read.values(new)[name], values)
    assert read.told(new) == made.told(new)
    assert stored.read(tmp_path / "elsewhere", 3) is None


CHANGES: dict[str, tuple[Callable[[Arrays], object], str]] = {
    "nan": (lambda a: a["within_means"].__setitem__((0, 0), np.nan), "NaN or infinity"),
    "infinite": (lambda a: a["validation_energy"].__setitem__(-1, np.inf), "NaN or infinity"),
    "falling": (lambda a: a.update(validation_energy=a["validation_energy"][::-1]), "rising"),
    "few": (lambda a: a.update({k: v[:5] for k, v in a.items() if "validation" in k}), "19 or more"),
    "uneven": (lambda a: a.update(validation_energy=a["validation_energy"][:30]), "of one number"),
    "no score": (lambda a: a.pop("validation_either_mahalanobis"), "either_mahalanobis"),
    "no axes": (lambda a: a.pop("overall_axes"), "no overall_axes"),
    "one Gaussian": (lambda a: [a.pop(k) for k in list(a) if k.startswith("overall")], "no overall_means"),
    "negative": (lambda a: a["within_variances"].__setitem__(0, -1), "variance of 0 or less"),
    "flat": (lambda a: a.update(scales=np.zeros((2, 2))), "spreads above 0"),
    "slanted": (lambda a: a.update(within_axes=a["within_axes"] * 2), "orthonormal"),
    "wide": (lambda a: a.update(within_means=np.zeros((3, 5000), np.float32)), "4096 at most"),
    "other width": (lambda a: a.update(within_means=np.zeros((3, 9), np.float32)), "within_axes is"),
    "more classes": (lambda a: a.update(within_means=np.zeros((4, 8), np.float32)), "3 classes at most"),
    "rate": (lambda a: a.update(false_alarms=np.array([0.7])), "below ½"),
    "whole numbers": (lambda a: a.update(false_alarms=np.array([1])), "false_alarms is int64"),
    "a stranger": (lambda a: a.update(payload=np.zeros(3)), "'payload' inside"),
    "a strange score": (lambda a: a.update(validation_magic=a["validation_energy"]), "magic"),
    "text": (lambda a: a.update(images=np.array(["60"])), "images is <U2"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    change, said = CHANGES[name]
    with pytest.raises(InputError, match=r"unknown\.npz: .*restore the folder") as caught:
        stored.read(rewritten(tmp_path, change), 3)
    assert said in str(caught.value)


class _Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (pytest.fail, ("a pickle was run",))


def test_pickles_bombs_and_rubbish_are_refused_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / stored.FILE
    for content in (b"", b"PK\x03\x04rubbish", pickle.dumps(_Trap())):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            stored.read(tmp_path, 3)
    np.savez(path, within_means=np.array([_Trap()], object))
    with pytest.raises(InputError, match="cannot be read"):
        stored.read(tmp_path, 3)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("within_means.npy", "w", force_zip64=True) as entry,
    ):
        for _ in range(260):
            entry.write(bytes(1_000_000))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(InputError, match="more than 256,000,000 bytes"):
        stored.read(tmp_path, 3)


def test_every_byte_that_is_flipped_is_refused_or_reads_as_a_detector(tmp_path: Path) -> None:
    stored.write(tmp_path, detector())
    path = tmp_path / stored.FILE
    whole, draw = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for place in draw.choice(len(whole), 150, replace=False):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            assert isinstance(stored.read(tmp_path, 3), Detector)
        except InputError:
            refused += 1
    assert refused > 100
