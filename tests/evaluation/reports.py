"""Reports of made-up runs, for the tests of pages, and what is read of them."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from imgrec.config import Config
from imgrec.data.sources.dataset import Split
from imgrec.evaluation.evaluated import Evaluated
from imgrec.evaluation.report import write_report
from imgrec.evaluation.stored import Stored
from imgrec.tasks.multiclass import Multiclass
from imgrec.tasks.task import Task

EVIL = "<script>alert(\"x\")</script> & 'co'"


class Outline(HTMLParser):
    """Checks that tags close, and collects tags and links."""

    VOID = {"meta", "img", "br", "link", "input"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()


HISTORY = [
    {"epoch": "1", "loss": "2.0", "accuracy": "0.3", "val_loss": "1.9", "val_accuracy": "0.35", "note": EVIL},
    {"epoch": "2", "loss": "1.5", "accuracy": "0.5", "val_loss": "", "val_accuracy": "0.45", "note": ""},
]
FILES = [
    {"name": "float32", "accuracy": 0.9115, "agreement": 1.0, "kilobytes": 312.4, "passed": True},
    {"name": "ptq_int8", "accuracy": 0.8, "agreement": 0.9, "kilobytes": 97.0, "passed": False},
    {"name": "qat_int8", "accuracy": 0.8, "agreement": 0.9, "kilobytes": 97.0},
]
_GROUP = {"images": 6, "accuracy": 0.6, "accuracy_off": 0.5}
ADAPTATION = {
    "line": "lowlight(110)",
    "verdict": "No difference.",
    "p_value": 0.3,
    "all": _GROUP,
    "triggered": _GROUP,
    "steps": [{"name": "lowlight", **_GROUP}],
}


def evaluated(task: Task, perfect: bool = False, counts: list[int] | None = None, **more: Any) -> Evaluated:
    """Six images a class, answered by chance and a little better, or all right."""
    rng = np.random.default_rng(3)
    size = len(task.classes)
    labels = np.repeat(np.arange(size), 6)
    logits = rng.normal(0, 1, (len(labels), size)).astype(np.float32)
    logits[np.arange(len(labels)), labels] += 100 if perfect else 1
    if task.labels == "classes":
        labels = np.eye(size, dtype=np.float32)[labels]
    ids = [f"{EVIL if i == 0 else i}.png" for i in range(len(labels))]
    mistakes = task.mistakes(ids, labels, logits)
    images = rng.integers(0, 255, (len(ids), 28, 28, 1), np.uint8)
    given: dict[str, Any] = {
        "title": EVIL,
        "figures": task.figures(logits, labels, counts),
        "history": HISTORY,
        "best_epoch": 1,
        "config": Config().replace(out=f"runs/{EVIL}", model="resnet20").flat(),
        "exports": FILES,
        "mistakes": mistakes,
        "mistake_images": [rng.integers(0, 255, (28, 28, 1), np.uint8) for _ in mistakes],
        "data": {"train": [60] * size, "test": [6] * size},
        "versions": {"keras": "3.15.1"},
        "failures": ["qat_int8: agreement 0.9 < 0.98"],
        "parity_images": 18,
        "facts": {"source": EVIL},
        "test": Stored(tuple(ids), labels, logits),
        "split": Split(tuple(ids), labels, images, attributes={"camera": (EVIL, "b") * (len(ids) // 2)}),
    }
    return Evaluated(task=task, **{**given, **more})


def page(folder: Path, given: Evaluated) -> str:
    write_report(folder, given)
    return (folder / "report" / "index.html").read_text(encoding="utf-8")


def made(folder: Path, classes: list[str], **more: Any) -> str:
    return page(folder, evaluated(Multiclass(tuple(classes)), **more))


def outline(text: str) -> Outline:
    found = Outline()
    found.feed(text)
    assert found.open == []
    return found


def of_answers(labels: np.ndarray, predicted: np.ndarray, classes: int) -> Evaluated:
    task = Multiclass(tuple(f"class {index}" for index in range(classes)))
    given = evaluated(task)
    said = task.figures(np.eye(classes, dtype=np.float32)[predicted], labels)
    return replace(given, figures=said)
