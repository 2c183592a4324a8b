"""What is found in single files: every kind of defect, and nothing where there is none."""

import os
import time

import cv2
import numpy as np
import pytest
from defects import CLEAN, DEFECTS, JPEG, PNG
from pictures import encode, picture

from imgrec.data.audit import pool
from imgrec.data.audit.examine import Limits
from imgrec.data.audit.findings import CODES, printable
from imgrec.data.audit.pool import examine_files
from imgrec.data.sources.sample import load_sample

LIMITS = Limits(max_pixels=50_000_000, max_bytes=100_000_000)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What was found in every file of the corpus, by what ails it."""
    root = tmp_path_factory.mktemp("corpus")
    paths = []
    for number, (suffix, data, *_) in enumerate([*DEFECTS.values(), *CLEAN.values()]):
        paths.append(root / f"{number:03d}{suffix}")
        paths[-1].write_bytes(data)
    return dict(zip([*DEFECTS, *CLEAN], examine_files([str(p) for p in paths], LIMITS), strict=True))


def test_the_corpus_is_large():
    assert len(DEFECTS) >= 80 and len({code for *_, code in DEFECTS.values()}) >= 14


@pytest.mark.parametrize("ailment", DEFECTS)
def test_every_kind_of_defect_is_found(found, ailment):
    codes = {code for code, _ in found[ailment].found}
    due = set(DEFECTS[ailment][2].split("|"))
    assert codes & due, f"{ailment}: found {found[ailment].found}"
    assert all(detail and "\n" not in detail for _, detail in found[ailment].found)
    broken = any(CODES[code].severity == "error" for code in codes)
    assert broken <= (found[ailment].facts is None)


@pytest.mark.parametrize("name", CLEAN)
def test_nothing_is_found_in_clean_files(found, name):
    assert found[name].found == () and found[name].facts is not None
    assert len(found[name].facts.sha256) == 64


def only(path, **limits):
    (result,) = examine_files([str(path)], Limits(**{**vars(LIMITS), **limits}))
    return result


def test_bytes_are_capped_before_reading(tmp_path):
    (tmp_path / "a.jpg").write_bytes(JPEG)
    ((code, detail),) = only(tmp_path / "a.jpg", max_bytes=len(JPEG) - 1).found
    assert code == "too_large" and f"{len(JPEG):,} bytes" in detail
    assert only(tmp_path / "a.jpg", max_bytes=len(JPEG)).facts is not None


def test_pixels_are_capped_before_decoding(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    assert only(tmp_path / "a.png", max_pixels=61 * 83 - 1).found[0][0] == "too_large"
    assert only(tmp_path / "a.png", max_pixels=61 * 83).facts is not None


def test_what_is_no_regular_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    found = {name: only(tmp_path / f"{name}.jpg").found[0][0] for name in ("pipe", "gone", "self", "none")}
    assert found == {
        "pipe": "unreadable",
        "gone": "unreadable",
        "self": "symlink_loop",
        "none": "unreadable",
    }


FAULTY = """
import os, time
from imgrec.data.audit import examine, worker

honest = examine._decoded

def decoded(path, limits, said):
    name = os.path.basename(path)
    if "hang" in name:
        time.sleep(600)
    if "die" in name:
        os.kill(os.getpid(), 9)
    if "bug" in name:
        raise ValueError("ours")
    return honest(path, limits, said)

examine._decoded = decoded
worker.main()
"""


def test_a_worker_that_hangs_or_dies_costs_one_file_each(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "COMMAND", (pool.COMMAND[0], "-c", FAULTY))
    names = [f"{n:02d}{'hang' * (n == 7) + 'die' * (n in (3, 4, 39))}.jpg" for n in range(40)]
    for name in names:
        (tmp_path / name).write_bytes(JPEG)
    begun = time.monotonic()
    limits = Limits(**{**vars(LIMITS), "max_seconds": 1.5})
    results = examine_files([str(tmp_path / name) for name in names], limits, workers=2)
    assert time.monotonic() - begun < 60
    found = {name: result.found[0][0] for name, result in zip(names, results, strict=True) if result.found}
    assert found == {
        "03die.jpg": "crashed",
        "04die.jpg": "crashed",
        "07hang.jpg": "too_slow",
        "39die.jpg": "crashed",
    }
    assert sum(result.facts is not None for result in results) == 36


def test_a_mistake_of_ours_is_not_blamed_on_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "COMMAND", (pool.COMMAND[0], "-c", FAULTY))
    with pytest.raises(RuntimeError, match="ValueError: ours"):
        examine_files([str(tmp_path / "bug.jpg")], LIMITS)


def test_results_do_not_depend_on_the_number_of_workers(tmp_path):
    for n in range(9):
        (tmp_path / f"{n}.png").write_bytes(encode(picture(40 + n, 50, n), "PNG") if n != 4 else b"x")
    paths = [str(tmp_path / f"{n}.png") for n in range(9)]
    counts: list[int] = []
    one, two = (examine_files(paths, LIMITS, workers=n, progress=counts.append) for n in (1, 2))
    assert one == two and max(counts) == 9


def test_names_are_printable():
    assert printable("a/b ä 猫\u3000\u00a0🐈.png") == "a/b ä 猫\u3000\u00a0🐈.png"
    assert printable(os.fsdecode(b"x\xff\xfe.png")) == r"x\xff\xfe.png"
    assert printable("a\nb\tc\u2028d\ud800") == r"a\nb\tc\u2028d\ud800"


@pytest.mark.slow
def test_no_false_alarm_on_the_sample_as_files(tmp_path):
    """7,000 images of the sample, PNG and JPEG in turn: nothing is wrong with any of the files."""
    source = load_sample()
    images = np.concatenate([source.train.images[:5000], source.test.images])
    paths = [str(tmp_path / f"{n:05d}{('.png', '.jpg')[n % 2]}") for n in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        assert cv2.imwrite(path, image)
    results = examine_files(paths, LIMITS)
    assert len(results) == 7000 and sum(bool(result.found) for result in results) == 0
    assert all(result.facts is not None and result.facts.grey for result in results)
