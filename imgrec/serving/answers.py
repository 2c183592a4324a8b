"""What a predictor says of image files: for programs, and as a table to read."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from imgrec.serving.predictor import Predictor

BATCH = 64
BAR = 20
"""Characters of a whole bar."""


def recognise(predictor: Predictor, files: Sequence[Path], top: int) -> Iterator[dict[str, Any]]:
    """Give `{"image", "predictions": [{"label", "probability"}]}` of each file, best class first.

    Where an image may have several labels, `labels` beside them has those above a half.
    """
    for start in range(0, len(files), BATCH):
        batch = files[start : start + BATCH]
        for file, row in zip(batch, predictor.predict_files(batch), strict=True):
            best = (-row).argsort(kind="stable")[:top]
            predictions = [{"label": predictor.labels[i], "probability": float(row[i])} for i in best]
            answer: dict[str, Any] = {"image": str(file), "predictions": predictions}
            if predictor.several:
                answer["labels"] = [label for label, p in zip(predictor.labels, row, strict=True) if p > 0.5]
            yield answer


def table(answer: dict[str, Any]) -> str:
    """Return one image's answer as lines: class, percentage, bar."""
    predictions = answer["predictions"]
    width = max(len(entry["label"]) for entry in predictions)
    said = f": {', '.join(answer['labels']) or 'no label above 50 %'}" if "labels" in answer else ""
    lines = [answer["image"] + said]
    for entry in predictions:
        share = entry["probability"]
        lines.append(
            f"  {entry['label']:<{width}}  {100 * share:5.1f} %  {'█' * round(BAR * share)}".rstrip()
        )
    return "\n".join(lines)
