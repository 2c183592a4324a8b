"""Settings of an audit; read by `--help`, so without NumPy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgrec.config import Choice, DataConfig


@dataclass(frozen=True)
class AuditSettings:
    """What to audit, and what to do about it."""

    data: str = "sample"
    """Where the images are: sample, a folder (class/… or train/class/…, val/…, test/…), csv:FILE (columns
    path and label, or labels joined by |), npz:FILE, idx:DIR (MNIST format), tfds:NAME[:DATA_DIR] or
    keras:NAME."""
    download: bool = False
    """Let tfds:NAME fetch and prepare a set that is not on disk; otherwise it asks no network."""
    out: Path = Path("saved_models/audit")
    """Folder of the findings; those of an earlier audit are replaced."""
    policy: Literal["report", "strict", "quarantine", "skip"] = "report"
    """report: only say what is broken; strict: stop as training would; quarantine: list what is broken, so
    that training leaves it out; skip: as report, but training will be told to pass over it."""
    quarantine: str = ""
    """List of images to leave out, one id a line; by default quarantine.txt in the data folder."""
    suspects: Choice = "auto"
    """Look for wrong labels (confident learning); auto: where the package cleanlab is installed."""
    weights: Literal["auto", "none", "imagenet"] = "auto"
    """What wrong labels are judged by: outlines alone (none), or features of a network as well (imagenet);
    auto: imagenet for images above 64 px where the extra `pretrained` is installed."""
    seed: int = 0
    """Seed of the division into splits, where none are given, and into folds."""
    max_pixels: int = DataConfig.max_pixels
    """Images with more pixels than this are not decoded."""
    max_bytes: int = DataConfig.max_bytes
    """Files with more bytes than this are not read."""

    @property
    def data_config(self) -> DataConfig:
        """The same as settings of the data."""
        return DataConfig(
            data=self.data,
            download=self.download,
            max_pixels=self.max_pixels,
            max_bytes=self.max_bytes,
            policy="skip" if self.policy == "report" else self.policy,
            quarantine=self.quarantine,
        )
