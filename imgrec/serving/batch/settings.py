"""What a user may ask of `predict` for a great many images; read by help, so nothing heavy is imported."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imgrec.errors import InputError


@dataclass(frozen=True)
class BatchSettings:
    """A great many images: answers in a file, going on where an earlier command was stopped."""

    out: Path = Path()
    """Write JSON lines to this file, in the order of the images, in place of printing them."""
    listing: Path = Path()
    """A file that names images, one path or file:// address a line, beside those named by themselves."""
    engine: Literal["plain", "dask", "ray"] = "plain"
    """Who answers: this process, or processes of Dask or Ray (extras dask, ray), here or elsewhere."""
    jobs: int = 0
    """Processes of Dask or Ray; 0 for one a processor."""
    address: str = ""
    """Of a running Dask scheduler or Ray cluster, whose machines see the same files; by default one is
    started here."""

    def __post_init__(self) -> None:
        if self.jobs < 0:
            raise InputError(f"--jobs {self.jobs}: expected 0 or more")
        if not self.out.name and (self.engine != "plain" or self.address):
            raise InputError(f"--engine {self.engine} writes to a file: give --out answers.jsonl")
        if self.engine == "plain" and (self.address or self.jobs):
            asked = f"--address {self.address}" if self.address else f"--jobs {self.jobs}"
            raise InputError(f"{asked}: of what? Give --engine dask or ray, too")
