"""What is measured beside what, and how it is printed; the steps themselves take minutes."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.train_step import bfloat16_instructions, busy_cores, commands, faster, parse, report
from benchmarks.turns import Turn


@dataclass
class Peer:
    name: str
    walls: list[float] = field(default_factory=list)
    closed: bool = False

    def turn(self, steps: int) -> Turn:
        return Turn(self.walls.pop(0), 1.0, 1)

    def close(self) -> None:
        self.closed = True


def test_flags_win_over_the_defaults_of_both_sizes() -> None:
    usual, small = parse([]), parse(["--small", "--batch", "2"])
    assert (usual.models, usual.batch, usual.side) == (
        ["resnet50", "mobilenet_v3_large", "vit_ti_16"],
        16,
        224,
    )
    assert usual.precisions == ["float32", "mixed_bfloat16"]
    assert (small.models, small.batch, small.side) == (["mobilenet_v3_small"], 2, 96)


@pytest.mark.parametrize("words", [["--models", "resnet51"], ["--precisions", "float32,float8"]])
def test_an_unknown_name_is_refused_with_the_known(words: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        parse(words)
    said = capsys.readouterr().err
    assert (
        f"got {words[1].split(',')[-1]}, expected some of {'resnet50' if 'resnet' in said else 'float32'}"
        in said
    )


def test_imgrec_comes_first_and_peers_where_they_are() -> None:
    alone, whole = parse([]), parse(["--timm", "torch/python", "--tf-keras", "legacy/python"])
    assert [*commands("resnet50", "float32", alone)] == ["imgrec", "keras"]
    assert [*commands("vit_ti_16", "float32", alone)] == ["imgrec"]  # keras.applications has none
    sides = commands("mobilenet_v3_large", "mixed_bfloat16", whole)
    assert [*sides] == ["imgrec", "keras", "tf_keras", "timm, contiguous", "timm, channels_last"]
    assert [words[0] for words in sides.values()] == [sys.executable] * 2 + [
        "legacy/python",
        *["torch/python"] * 2,
    ]
    assert sides["imgrec"][-4:] == ["mobilenet_v3_large", "mixed_bfloat16", "224", "16"]
    assert sides["tf_keras"][-5:] == ["tf_keras", "MobileNetV3Large", "mixed_bfloat16", "224", "16"]
    assert sides["timm, channels_last"][-3:] == ["224", "16", "channels_last"]


def test_the_layout_whose_best_turn_is_faster_stays() -> None:
    peers = [Peer("contiguous", [3.0, 1.5]), Peer("channels_last", [2.0, 1.6])]
    assert faster(peers, steps=1) == peers[:1]  # type: ignore[arg-type]
    assert [peer.closed for peer in peers] == [False, True]
    assert faster([], steps=1) == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("avx512f avx512_vnni", "no bfloat16 instructions"),
        ("avx512_bf16 amx_bf16", "amx_bf16 and avx512_bf16"),
        ("avx512f avx512_bf16", "avx512_bf16"),
    ],
)
def test_what_the_processor_has_for_bfloat16(tmp_path: Path, flags: str, said: str) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor: 0\nflags\t: fpu {flags}\n")
    assert bfloat16_instructions(tmp_path / "cpuinfo") == said


def test_work_of_others_is_seen() -> None:
    burn = "import time\nwhile time.process_time() < 30: pass"
    with subprocess.Popen([sys.executable, "-c", burn]) as other:
        ticks = Path(f"/proc/{other.pid}/stat")
        before, cores = worked(ticks), busy_cores(1.0)
        share = worked(ticks) - before
        other.kill()
    assert share > 0.05
    assert share / 2 < cores < os.cpu_count() + 0.1


def worked(stat: Path) -> float:
    """Processor seconds of a process."""
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_table_shows_seconds_ratios_memory_and_the_gain_of_bfloat16() -> None:
    ours = {"wall": 2.5, "cpu": 4.8, "wall_ratio": 1.0, "cpu_ratio": 1.0, "peak": 3 << 30}
    theirs = {"wall": 5.0, "cpu": 7.2, "wall_ratio": 2.0, "cpu_ratio": 1.5, "peak": 1 << 30}
    lower = ours | {"wall": 1.25, "cpu": 1.5}
    text = report(
        {
            "resnet50, float32": {"when": "today", "sides": {"imgrec": ours, "keras": theirs}},
            "resnet50, mixed_bfloat16": {"when": "today", "sides": {"imgrec": lower}},
        }
    )
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "imgrec 2,500 ms 4.800 s 3,072 MiB" in rows
    assert "keras 5,000 ms 7.200 s 1,024 MiB 2.00 (1.50)" in rows
    assert "imgrec in mixed_bfloat16: 2.00 × as fast as its float32 (3.20)" in rows
