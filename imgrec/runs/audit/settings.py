"""Settings of an audit; read by `--help`, so without NumPy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgrec.config.settings import Choice, Images


@dataclass(frozen=True)
class AuditSettings(Images):
    """What to audit, and what to do about it."""

    out: Path = Path("saved_models/audit")
    """Folder of the findings; those of an earlier audit are replaced."""
    policy: Literal["report", "strict", "quarantine", "skip"] = "report"
    """report: only say what is broken; strict: stop as training would; quarantine: list what is broken, so
    that training leaves it out; skip: as report, but training will be told to pass over it."""
    suspects: Choice = "auto"
    """Look for wrong labels (confident learning); auto: where the package cleanlab is installed."""
    weights: Literal["auto", "none", "imagenet"] = "auto"
    """What wrong labels are judged by: outlines (none), or features of a network (imagenet);
    auto: imagenet for images above 64 px."""
    seed: int = 0
    """Seed of the division into splits, where none are given, and into folds."""
