"""The page of a run as a whole: sound, safe, self-contained, in the order of the table."""

import base64
import hashlib
import json
import re
from pathlib import Path

import jinja2
import markupsafe
import pytest
from reports import ADAPTATION, EVIL, FILES, evaluated, made, outline

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.evaluations import EVALUATIONS
from imgrec.evaluation.report import write_report
from imgrec.tasks.multiclass import Multiclass


@pytest.mark.parametrize("count", [2, 10, 60])
def test_report_is_one_sound_file_without_requests(tmp_path: Path, count: int) -> None:
    text = made(tmp_path, [EVIL, *(f"class {i}" for i in range(1, count))])
    seen = outline(text).seen
    tags = {tag for tag, _ in seen}
    assert not tags & {"link", "iframe", "object", "base", "form"}
    assert [tag for tag, _ in seen].count("script") == 1
    for tag, attributes in seen:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/")), (tag, attributes)
        if tag == "img":
            assert attributes["alt"]
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
    assert "http:" not in text and "https:" not in re.sub(r"data:image/\w+;base64,[\w+/=]+", "", text)
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    ids = [attributes["id"] for _, attributes in seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    anchors = {a["href"][1:] for tag, a in seen if tag == "a"}
    assert anchors <= set(ids)
    assert [p.name for p in (tmp_path / "report").iterdir()] == ["index.html"]


def test_the_policy_lets_our_script_run_and_no_other(tmp_path: Path) -> None:
    text = made(tmp_path, ["a", "b"])
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert policy and script and text.index(policy[0]) < script.start()
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    rules = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    assert rules["script-src"] == f"'sha256-{digest}'"


def test_users_text_is_escaped(tmp_path: Path) -> None:
    text = made(tmp_path, [EVIL, "b", "c"])
    assert EVIL not in text
    assert text.count(str(markupsafe.escape(EVIL))) > 5


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    assert made(tmp_path / "1", ["a", "b"]) == made(tmp_path / "2", ["a", "b"])


def test_metrics_json_has_the_share_of_every_section(tmp_path: Path) -> None:
    given = evaluated(Multiclass(("a", "b", "c")), adaptation=ADAPTATION)
    write_report(tmp_path, given)
    held = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert held.pop("calibration")["images"] == 18
    assert held.pop("figures")["overall"]["accuracy"]["value"] == given.figures["accuracy"]
    assert held.pop("curves")["roc"]["mean"][-1] == 1
    assert held.pop("slices")["judged"] == []
    assert len(held.pop("hard_images")["ambiguous"]) == 12
    assert held == {
        "test": given.figures,
        "validation": {"epoch": 1, "loss": "1.9", "accuracy": "0.35"},
        "adaptation": ADAPTATION,
        "exports": {
            "images": 18,
            "files": FILES,
            "failures": ["qat_int8: agreement 0.9 < 0.98"],
            "excused": [],
            "doubts": "",
        },
    }


def test_sections_stand_in_the_order_of_the_table(tmp_path: Path) -> None:
    text = made(tmp_path, ["a", "b"], adaptation=ADAPTATION)
    # These ask a model, and here is none; it is no ensemble, and no object has several pictures.
    asking = ("known", "looking", "ensemble", "objects")
    names = [name for name in EVALUATIONS if name not in asking]
    assert re.findall(r'<section id="(\w+)"', text) == names[1:] and names[0] == "headline"
    assert re.findall(r'<a href="#(\w+)">', text[: text.index("</nav>")]) == names[1:]
    assert "prepared with <code>lowlight(110)</code>" in text and "<td>60.00" in text


def test_a_registered_evaluation_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mine(given: Evaluated) -> Section:
        data = {"images": given.figures["images"], "name": EVIL}
        return Section(EVIL, "<p>{{ images | number }} {{ name }}</p>", data, {"mine": 5})

    monkeypatch.setitem(EVALUATIONS, "mine", mine)
    text = made(tmp_path, ["a", "b"])
    outline(text)
    assert '<section id="mine">' in text and f"<p>12 {markupsafe.escape(EVIL)}</p>" in text
    assert f'<a href="#mine">{markupsafe.escape(EVIL)}</a>' in text and EVIL not in text
    assert json.loads((tmp_path / "metrics.json").read_text())["mine"] == 5

    monkeypatch.setitem(EVALUATIONS, "mine", lambda given: Section("Mine", "<p>{{ imagse }}</p>"))
    with pytest.raises(jinja2.UndefinedError, match="imagse"):
        made(tmp_path, ["a", "b"])
    monkeypatch.setitem(EVALUATIONS, "mine", lambda given: Section("Mine", "<p>", json={"test": 1}))
    with pytest.raises(ValueError, match="mine writes test into"):
        made(tmp_path, ["a", "b"])
    monkeypatch.setitem(EVALUATIONS, "mine", lambda given: None)
    assert "mine" not in made(tmp_path, ["a", "b"])
