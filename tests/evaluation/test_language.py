"""Pages in other languages: a catalogue has every sentence, and a page has no other."""

import copy
import html
import pickle
import re
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest
import texts
import yaml
from reports import ADAPTATION, EVIL, HISTORY, evaluated, page, write_report

from imgrec.data.preprocess import Preprocess
from imgrec.errors import InputError
from imgrec.evaluation.evaluations import requested
from imgrec.evaluation.language import ENGLISH, LANGUAGES, Language, language
from imgrec.evaluation.subject import Subject
from imgrec.metrics import baseline
from imgrec.metrics.wording import percent
from imgrec.phrases import Phrase, listed
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.multilabel import Multilabel
from imgrec.tasks.task import Task

SENTENCES = texts.sentences()
WORDS = {"train", "val", "test", "all", "new", "head", "medium", "tail"}
"""Keys that the code has as data: splits and groups of classes,"""
WORDS |= {
    "accuracy",
    "exact match",
    "exact_match",
    "f1",
    "loss",
    "balanced accuracy",
    "val loss",
    "val accuracy",
}
WORDS |= {"val balanced accuracy", "val f1", "val exact match", "learning rate", "seconds", "epoch"}
WORDS |= {"images per second", "input wait", "skipped steps", "training", "validation"}
"""columns of history.csv and words of curves,"""
WORDS |= {"source", "colour", "fingerprint", "run"}
"""and facts about the data."""
SAME = {
    "AUC",
    "AUROC",
    "AUPR",
    "mAP",
    "F1",
    "Wilson",
    "Dropout",
    "JPEG",
    "Top-{k}",
    "f1",
    "–",
    "",
    "{clause}",
}
"""Said alike in every language."""
others = pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])


@others
def test_a_catalogue_has_every_sentence_and_no_other(code: str) -> None:
    held = language(code).catalogue
    missing = [
        f"{place}: {text}" for text, place in SENTENCES.items() if text not in held and text not in SAME
    ]
    assert not missing, "add to the catalogue:\n" + "\n".join(missing)
    assert WORDS - held.keys() <= SAME
    left = held.keys() - SENTENCES.keys() - WORDS
    assert not left, f"of no sentence: {sorted(left)}"


@others
def test_a_sentence_keeps_its_values_and_is_said_in_the_language(code: str) -> None:
    for text, said in language(code).catalogue.items():
        assert texts.names(said) == texts.names(text), text
        assert isinstance(said, str) and re.findall(r"</?\w+", said) == re.findall(r"</?\w+", text), text
        words = re.search(r"[A-Za-z]", re.sub(r"\{[^}]*\}", "", text))
        assert text in SAME or not words or re.search(r"[\u4e00-\u9fff]", said) or text in ("f1",), text


@others
def test_a_catalogue_names_no_sentence_twice(code: str) -> None:
    folder = texts.IMGREC / "evaluation" / "languages" / code
    trees = [yaml.compose(path.read_text(encoding="utf-8")) for path in sorted(folder.iterdir())]
    keys = [key.value for tree in trees for key, _ in tree.value]
    assert len(keys) == len(set(keys)), {key for key in keys if keys.count(key) > 1}


def seen(page_text: str) -> str:
    """What a reader sees of a page, without code, names of settings and what users wrote."""
    for tag in ("style", "script", "pre", "code", "title", "h1"):
        page_text = re.sub(rf"<{tag}\b.*?</{tag}>", " ", page_text, flags=re.DOTALL)
    page_text = re.sub(r'<dl class="facts">.*?</dl>', " ", page_text, flags=re.DOTALL)
    labels = " . ".join(re.findall(r'(?:aria-label|alt|title)="([^"]*)"', page_text))
    return html.unescape(re.sub(r"<[^>]+>", " . ", page_text) + labels).replace(EVIL, "")


ENGLISH_WORDS = re.compile(r"\b[A-Za-z]{2,}(?:['’]s)?,? [a-z]{2,},? [a-z]{2,}\b")


@pytest.mark.parametrize(
    "task", [Multiclass(("甲", "乙", "丙")), Multilabel(("甲", "乙", "丙"))], ids=["one", "some"]
)
def test_a_chinese_page_has_no_english_sentence(task: Task, tmp_path: Path) -> None:
    right = np.repeat([True, False], [16, 2])
    rival = baseline.Quick(Phrase("logistic regression on ImageNet features"), right)
    standing = baseline.stand(lambda order: right, 18, ("甲", np.arange(18) < 6), rival)
    history = [{key: value for key, value in entry.items() if key != "note"} for entry in HISTORY]
    failures = [Phrase("{file}: has other names for the classes than its model", file="qat_int8")]
    verdict = Phrase("The steps changed no answer from right to wrong or back.")
    more = {"counts": [99, 30, 3], "adaptation": {**ADAPTATION, "verdict": verdict}, "standing": standing}
    english, chinese = (
        page(
            tmp_path / code,
            evaluated(task, history=history, failures=failures, language=language(code), **more),
        )
        for code in ("en", "zh")
    )
    assert len(ENGLISH_WORDS.findall(seen(english))) > 30  # the search finds what it is to find
    assert ENGLISH_WORDS.findall(seen(chinese)) == []
    assert '<html lang="zh-Hans">' in chinese and '<html lang="en">' in english
    assert "恒答 甲" in chinese and "qat_int8：类别名称与模型不同" in chinese and ">轮次</text>" in chinese
    assert "\N{NO-BREAK SPACE}%" not in chinese and "\N{NO-BREAK SPACE}%" in english
    metrics = [(tmp_path / code / "metrics.json").read_text(encoding="utf-8") for code in ("en", "zh")]
    assert metrics[0] == metrics[1]


@pytest.mark.slow
def test_what_is_asked_for_is_said_in_chinese_too(tmp_path: Path) -> None:
    task = Multiclass(("甲", "乙", "丙"))
    image = keras.Input((28, 28, 1), name="image")
    logits = keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(image / 255))
    subject = Subject(keras.Model(image, logits), task, Preprocess((28, 28), "grey"), 8)
    also = requested("corruptions(images=6, severities=3)|attacks(images=6, steps=2)|shifts(images=6)")
    for code in ("en", "zh"):
        given = evaluated(task, history=[], failures=[], subject=subject, language=language(code))
        write_report(tmp_path / code, given, also)
    english, chinese = (
        (tmp_path / code / "report" / "index.html").read_text(encoding="utf-8") for code in ("en", "zh")
    )
    assert "Gaussian noise" in english and "高斯噪声" in chinese and '<section id="attacks">' in chinese
    assert ENGLISH_WORDS.findall(seen(chinese)) == [] != ENGLISH_WORDS.findall(seen(english))


def test_a_phrase_is_text_that_remembers() -> None:
    inner = Phrase("always '{answer}'", answer="{x}")
    said = Phrase("better than {name} by {points:.1f} points", name=inner, points=3)
    assert said == "better than always '{x}' by 3.0 points"
    chinese = Language("zh", {"always '{answer}'": "恒答{answer}", said.template: "比{name}高{points:.2f}"})
    assert chinese(said) == "比恒答{x}高3.00" and ENGLISH(said) == str(said)
    for copied in (copy.deepcopy(said), pickle.loads(pickle.dumps(said))):
        assert chinese(copied) == chinese(said) and copied == said
    assert (
        Phrase("{braces} are kept") == "{braces} are kept"
        and chinese("{braces} are kept") == "{braces} are kept"
    )
    row = baseline.Baseline(inner, 0.5, [0.4, 0.6], 9, 0.1, 0.2, "better")
    assert chinese(asdict(row)["name"]) == "恒答{x}"


def test_clauses_make_sentences() -> None:
    zh = language("zh")
    parts = [Phrase("no better than {name} ({share})", name="x", share=percent(each)) for each in (0.5, 0.25)]
    told = Phrase("the model is {told}", told=listed(parts))
    said = ENGLISH.sentence(told).replace("\N{NO-BREAK SPACE}", " ")
    assert said == "The model is no better than x (50.0 %); no better than x (25.0 %)."
    assert zh.sentence(told) == "该模型不优于“x”（50.0%）；不优于“x”（25.0%）。"
    assert listed([]) == "" and listed(["a"]) == "a" and listed(["a", "b", "c"]) == "a; b; c"


def test_another_language_is_refused() -> None:
    with pytest.raises(InputError, match="--lang de: pages are written in en, zh"):
        language("de")
