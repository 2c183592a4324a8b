"""What the benchmarks of a command without flags build, measure and say."""

import io
import json
import math
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import first_command, folders, time_to_accuracy, timm_finetune


def test_the_same_pictures_give_the_same_folder(tmp_path: Path) -> None:
    pictures = [("cat", "1.png", b"a"), ("dog", "1.png", b"b"), ("cat", "2.png", b"c")]
    first = folders.write(tmp_path / "f", iter(pictures))
    (tmp_path / "f" / "cat" / "old.png").write_bytes(b"left over")
    assert folders.write(tmp_path / "f", iter(reversed(pictures))) == first
    assert "3 images in 2 classes (cat 2, dog 1)" in first
    assert sorted(path.name for path in (tmp_path / "f").glob("*/*")) == ["1.png", "1.png", "2.png"]


def test_a_drawing_is_no_photo(tmp_path: Path) -> None:
    flat, noise = tmp_path / "flat.png", tmp_path / "noise.png"
    Image.new("RGBA", (200, 200), (200, 10, 10, 255)).save(flat)
    Image.effect_noise((100, 100), 90).convert("L").save(tmp_path / "grey.png")
    channels = [Image.effect_noise((100, 100), 90) for _ in range(3)]
    Image.merge("RGB", channels).save(noise)
    assert folders.is_photo(noise)
    assert not folders.is_photo(flat)
    assert not folders.is_photo(tmp_path / "grey.png")


def test_emoji_are_classed_by_group(tmp_path: Path) -> None:
    rows = [
        {"image": "1.png", "category": "Food & Drink"},
        {"image": "2.png", "category": "Component"},
        {"image": "3.png", "category": "Flags", "has_img_twitter": False},
    ]
    both = {"has_img_google": True, "has_img_twitter": True}
    held = {"emoji.json": json.dumps([{**both, **row} for row in rows]).encode()}
    for vendor in folders.VENDORS:
        files = held | {f"img/{vendor}/64/{row['image']}": vendor.encode() for row in rows}
        with tarfile.open(tmp_path / f"emoji-datasource-{vendor}-1.tgz", "w:gz") as archive:
            for name, data in files.items():
                member = tarfile.TarInfo(f"package/{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    assert list(folders.emoji(tmp_path)) == [
        ("food-drink", "google-1.png", b"google"),
        ("food-drink", "twitter-1.png", b"twitter"),
    ]


def test_a_command_is_measured_with_its_children(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint('done'); raise SystemExit(3)"
    again = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {busy!r}]).returncode)"
    ran = first_command.run_command([sys.executable, "-c", again], tmp_path / "log", tmp_path / "cache")
    assert ran.status == 3
    assert ran.processor >= 0.3
    assert (tmp_path / "log").read_text() == "done\n"


@pytest.mark.parametrize(
    ("accuracy", "seconds", "verdict"),
    [(0.89, 599.0, "holds"), (0.88, 10.0, "FAILS"), (0.95, 601.0, "FAILS")],
)
def test_a_folder_holds_within_a_point_and_ten_minutes(accuracy: float, seconds: float, verdict: str) -> None:
    ours = [{"accuracy": accuracy, "wall_s": seconds, "processor_s": 1.0}] * 3
    assert verdict in first_command.row("elpv", ours, [{"accuracy": 0.9}] * 3)


def test_timm_warms_up_and_ends_near_nothing() -> None:
    rates = [timm_finetune.rate_at(epoch, 30) for epoch in range(30)]
    assert rates[0] == 1e-5
    assert max(rates) == rates[5] == pytest.approx(0.5e-4 * (1 + math.cos(math.pi / 6)))
    assert rates[29] < 1e-6
    assert timm_finetune.rate_at(1, 6) > timm_finetune.rate_at(0, 6) == 1e-5


@pytest.mark.parametrize(
    ("auc", "seconds", "said"),
    [
        (0.96, 500.0, "holds: ours has timm's final AUC in 0.50 of"),
        (0.96, 600.0, "FAILS: ours has timm's final AUC in 0.60 of"),
        (0.94, 10.0, "FAILS: ours stays 0.0100 below timm"),
    ],
)
def test_half_of_timms_time(auc: float, seconds: float, said: str, tmp_path: Path) -> None:
    ours = {"auc": auc, "accuracy": 0.9, "processor_s": seconds, "curve": []}
    figures = {"accuracy": 0.9, "auc": 0.95}
    rows = [{"processor_s": 1000.0, "val": figures, "test": figures}]
    assert said in time_to_accuracy.verdict(ours, rows)
    time_to_accuracy.plot(ours, rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
