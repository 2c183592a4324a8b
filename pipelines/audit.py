"""Say what is wrong with a set of images: `python -m pipelines.audit --data FOLDER`."""

import sys
from collections.abc import Sequence

from imgrec.runs.audit.settings import AuditSettings
from pipelines.cli import guarded, parse

DESCRIPTION = """Look for broken files, copies of images, leaks between splits and wrong labels.

  python -m pipelines.audit --data photos/ --out saved_models/audit
  python -m pipelines.audit --data photos/ --policy quarantine

A folder of images without class folders is audited without its labels.
Writes audit.json (one entry a finding), images.csv (the scores of every image), suspects.txt (a list that
train takes by --quarantine) and index.html. Nothing of the data is changed or deleted.
Exit code 0: nothing is broken, or the policy deals with it; 1: something is; 2: bad input, or --policy
strict and something is broken."""


def run(settings: AuditSettings, command: str = "") -> int:
    """Audit as `settings` say, write what was found, act by the policy; return the exit code.

    Raises:
        InputError: nothing to audit there, or something broken under --policy strict.
    """
    from imgrec.runs.audit.inspection import inspect
    from imgrec.runs.audit.results import act, check_out, summary, write

    check_out(settings.out)
    seen = inspect(settings)
    write(seen, settings.out, command)
    print("\n".join(summary(seen)))
    code, lines = act(settings, seen)
    print("\n".join([*lines, f"{'broken, see' if code else 'done:'} {settings.out / 'index.html'}"]))
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    words = list(sys.argv[1:] if argv is None else argv)
    settings = parse(AuditSettings, words, prog="python -m pipelines.audit", description=DESCRIPTION)
    return run(settings, " ".join(["python -m pipelines.audit", *words]))


if __name__ == "__main__":
    guarded(main)
