"""The page of a search: well formed, safe against what settings hold, and it names the best."""

from pathlib import Path
from typing import Any

from reports import EVIL, Outline

from imgrec.evaluation.search_page import Results, write_page


def trial(number: int, value: float | None, state: str = "complete", **params: Any) -> dict[str, Any]:
    test = None if value is None else value - 0.01
    return {
        "number": number, "state": state, "value": value, "reached": 0.4, "epochs": 3, "test": test,
        "seconds": 12.5, "first": number == 0, "params": {"learning_rate": 0.1, "augment": "", **params},
    }  # fmt: skip


def made(path: Path, best: int, importance: dict[str, float]) -> tuple[str, Outline]:
    trials = [trial(0, 0.85), trial(1, None, "pruned"), trial(2, 0.875, augment=EVIL), trial(3, None, "fail")]
    trials.append(trial(4, None, "again", learning_rate=None))
    results = Results(
        title=EVIL, monitor="accuracy", space={"learning_rate": "0.01 … 1, log", "augment": EVIL},
        trials=trials, best=best, importance=importance, recipe=f"augment: {EVIL}\n", command=EVIL,
    )  # fmt: skip
    write_page(path, results)
    text = path.read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(text)
    assert not outline.open
    return text, outline


def test_the_page_is_whole_and_safe(tmp_path: Path) -> None:
    text, outline = made(tmp_path / "page.html", 2, {"learning_rate": 0.9, "augment": 0.1})
    assert text.count("<script") == 1 and "alert(" in text
    assert not [value for _, facts in outline.seen for value in facts.values() if value and "http" in value]
    assert "Trial 2 has the highest validation accuracy" in text
    assert "87.50" in text and "against <strong>" not in text and "85.00" in text
    assert [facts.get("class") for tag, facts in outline.seen if tag == "tr"].count("best") == 1
    assert "width:90.0%" in text and text.count("<tr") == 1 + 5 + 1 + 2
    for words in ("stopped", "failed", "died, run again", "86.5"):
        assert words in text


def test_a_first_setting_that_is_best_is_said_so(tmp_path: Path) -> None:
    text, _ = made(tmp_path / "page.html", 0, {})
    assert "it is the setting that the search began with" in text
    assert "takes four finished trials" in text
