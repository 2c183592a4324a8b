"""The zoo's table and the description of one model."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from imgrec.errors import InputError
from imgrec.models import MODELS, info
from pipelines import models


def test_json_lists_every_model_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert models.main(["--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == list(MODELS)
    assert rows["resnet50"]["parameters"] == 25_557_032
    assert rows["resnet50"]["macs"] == 4_089_184_256
    assert rows["resnet50"]["endpoints"] == [
        "stem",
        "stage1",
        "stage2",
        "stage3",
        "stage4",
        "features",
        "logits",
    ]
    assert all(row["macs"] > 0 and row["source"] for row in rows.values())


def test_the_table_has_a_line_for_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert models.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == list(MODELS)
    assert "25,557,032" in next(line for line in lines if line.startswith("resnet50 "))
    assert lines[-1].startswith(f"{len(list(MODELS))} models")


def test_describe_prints_endpoints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "net.png"
    words = ["describe", "resnet8(attention=se)", "--image-size", "28", "--classes", "7", "--out", str(out)]
    assert models.main(words) == 0
    text = capsys.readouterr().out
    assert "28 × 28 × 16" in text and "7 × 7 × 64" in text and text.splitlines()[-1] == f"image: {out}"
    picture = cv2.imread(str(out))
    assert picture.shape[1] > 1000 and picture.std() > 20


def test_describe_as_json_adds_up_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert models.main(["describe", "resnet8"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("options: ")
    assert models.main(["describe", "resnet8", "--json"]) == 0
    assert not list(tmp_path.iterdir())
    answer = json.loads(capsys.readouterr().out)
    assert answer["parameters"] == sum(part["parameters"] for part in answer["endpoints"]) == 78_042
    assert answer["macs"] == sum(part["macs"] for part in answer["endpoints"]) == info("resnet8").macs
    assert answer["endpoints"][-1] == {"name": "logits", "shape": [10], "parameters": 650, "macs": 640}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["describe"], "expected nothing or: describe NAME"),
        (["draw", "resnet8"], "expected nothing or: describe NAME"),
        (["describe", "resnet9"], "resnet"),
        (["--out", "net.png"], "expected also: describe NAME"),
        (["describe", "resnet8", "--out", "net.txt"], "ends in .png"),
        (["describe", "resnet8", "--out", "/nowhere/net.png"], "does not exist"),
        (["describe", "resnet8(depth=3)"], "option of resnet8"),
        (["describe", "resnet8", "--model-options", "width=3"], r'"auto\(width=3\)"'),
    ],
)
def test_refusals(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.main(words)


def test_help_is_quick_for_it_imports_no_framework() -> None:
    code = "import sys, pipelines.models; sys.exit(any(m in sys.modules for m in ('tensorflow', 'keras')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
