"""Say what is wrong with a set of images: `python -m pipelines.audit --data FOLDER`."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imgrec.config import Choice, DataConfig
from imgrec.errors import InputError
from pipelines.cli import guarded, parse

if TYPE_CHECKING:
    from imgrec.data.audit.findings import Finding
    from imgrec.runs.audit import Inspection

DESCRIPTION = """Look for broken files, copies of images, leaks between splits and wrong labels.

  python -m pipelines.audit --data photos/ --out saved_models/audit
  python -m pipelines.audit --data photos/ --policy quarantine

A folder of images without class folders is audited without its labels.
Writes audit.json (one entry a finding), images.csv (the scores of every image), suspects.txt (a list that
train takes by --quarantine) and index.html. Nothing of the data is changed or deleted.
Exit code 0: nothing is broken, or the policy deals with it; 1: something is; 2: bad input, or --policy
strict and something is broken."""


@dataclass(frozen=True)
class Arguments:
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


def run(arguments: Arguments, command: str = "") -> int:
    """Audit as `arguments` say, write what was found, act by the policy; return the exit code.

    Raises:
        InputError: nothing to audit there, or something broken under --policy strict.
    """
    from imgrec.data.audit import policy
    from imgrec.runs import audit as inspection

    check_out(arguments.out)
    seen = inspection.inspect(arguments)
    inspection.write(seen, arguments.out, command)
    broken = policy.broken_files(seen.findings)
    for line in summary(seen):
        print(line)
    code = act(arguments, seen, broken)
    print(f"{'broken, see' if code else 'done:'} {arguments.out / 'index.html'}")
    return code


def check_out(out: Path) -> None:
    """Refuse a place that cannot be written before any work is done."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file, expected a folder to write the findings to")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror}; name a folder that can be written") from None


def summary(seen: "Inspection") -> list[str]:
    """A line for each kind of finding, worst first, and one for each note."""
    from imgrec.data.audit.findings import CODES

    counts = Counter(finding.code for finding in seen.findings)
    lines = [f"note: {note}" for note in seen.notes]
    lines.append(
        f"{len(seen.facts.ids):,} images can be trained on, {len(seen.files):,} files or images seen"
    )
    for code, kind in CODES.items():
        if counts[code]:
            lines.append(f"{counts[code]:>8,}  {kind.severity:<8} {code:<28} {kind.meaning}")
    return lines if counts else [*lines, "nothing found"]


def act(arguments: Arguments, seen: "Inspection", broken: "Sequence[Finding]") -> int:
    """Do what the policy says; return the exit code."""
    from imgrec.data.audit import policy

    if not broken:
        return 0
    if arguments.policy == "strict":
        policy.refuse(broken)
    if arguments.policy == "report":
        return 1
    folders = [finding for finding in broken if finding.id not in seen.files]
    files = [finding for finding in broken if finding.id in seen.files]
    if arguments.policy == "quarantine":
        path = policy.list_path(arguments.quarantine, seen.root)
        if path is None:
            raise InputError(f"--policy quarantine with {arguments.data}: name the list by --quarantine FILE")
        print(f"quarantine: {policy.extend_list(path, files)} files added to {path}")
    else:
        print(f"skip: {len(files)} files are left out by train --policy skip")
    return 1 if folders else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the command line and run it."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parse(Arguments, words, prog="python -m pipelines.audit", description=DESCRIPTION)
    return run(arguments, " ".join(["python -m pipelines.audit", *words]))


if __name__ == "__main__":
    guarded(main)
