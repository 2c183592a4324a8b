"""Several pictures of one object, answered as one by a stand-in predictor."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgrec.errors import InputError
from imgrec.serving.objects import answers_of, fusion_of
from imgrec.tasks.multiclass import Multiclass

SCORES = {"a/1": [0.9, 0.1], "a/2": [0.2, 0.8], "b/1": [0.4, 0.6]}


class Stub:
    """Knows the answers of three files; a fourth cannot be read."""

    task = Multiclass(("ant", "bee"))

    def prepared(self, file: Path) -> np.ndarray | str:
        name = f"{file.parent.name}/{file.name}"
        return np.array(SCORES[name]) if name in SCORES else "no image"

    def predict(self, images: np.ndarray) -> np.ndarray:
        return images.astype(np.float32)

    def answers(self, files: Any, top: int) -> Any:
        return iter([{"path": str(file)} for file in files])


FILES = [Path(f"/x/{name}") for name in (*SCORES, "b/2", "c/1")]


def rows(views: str, run: Path = Path()) -> list[dict[str, Any]]:
    return list(answers_of(Stub(), run, FILES, views))  # type: ignore[arg-type]


def test_a_folder_is_an_object() -> None:
    a, b, c = rows("folder")
    assert (a["path"], a["views"], a["label"]) == ("/x/a", 2, "ant")
    assert a["probability"] == pytest.approx(0.55) and "unread" not in a
    assert (b["views"], b["label"], b["unread"]) == (1, "bee", {"/x/b/2": "no image"})
    assert c["error"] == "none of its pictures can be read" and c["unread"] == {"/x/c/1": "no image"}


def test_all_are_one_object_fused_as_the_run_chose(tmp_path: Path) -> None:
    (only,) = rows("all")
    assert only["views"] == 3 and only["probability"] == pytest.approx(0.5, abs=0.01)
    views = {"fusion": "logit", "chosen_by_validation": True}
    (tmp_path / "metrics.json").write_text(json.dumps({"objects": views}))
    (only,) = rows("all", tmp_path)
    odds = np.mean([np.log(p / q) for p, q in SCORES.values()])
    assert only["fusion"] == "logit"
    assert only["top"][0]["probability"] == pytest.approx(1 / (1 + np.exp(-abs(odds))))


def test_without_views_every_picture_answers_for_itself() -> None:
    assert [row["path"] for row in rows("")] == [str(file) for file in FILES]


@pytest.mark.parametrize(
    "told", [{}, {"objects": {"fusion": "median", "chosen_by_validation": True}}, {"objects": 3}]
)
def test_what_no_run_chose_is_not_taken(told: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps(told))
    assert fusion_of(tmp_path) == ""


def test_another_word_is_refused() -> None:
    with pytest.raises(InputError, match="--views each: expected folder"):
        rows("each")
    with pytest.raises(InputError, match="--top 0: expected at least 1"):
        answers_of(Stub(), Path(), FILES, "", 0)  # type: ignore[arg-type]
