"""Sign a run, or verify who made it: `python -m pipelines.sign --run RUN --key PRIVATE.pem`."""

import sys
from collections.abc import Sequence

from imgrec.runs.signing import SigningSettings, sign_or_verify
from pipelines.cli import guarded, parse

DESCRIPTION = """Sign a run folder or an exported file with a key of yours, or verify such a signature.

  python -m pipelines.sign --run saved_models/photos --key private.pem
  python -m pipelines.sign --run saved_models/photos --verify public.pem

A run's manifest shows that its files are whole; a signature shows who made them, as nobody else has the
private key. It is written to RUN.sig, by OpenSSF's model-signing (the extra `signing`), and uses no network.
docs/security.md tells how to make the two keys."""


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags, and sign or verify."""
    words = list(sys.argv[1:] if argv is None else argv)
    settings = parse(SigningSettings, words, prog="python -m pipelines.sign", description=DESCRIPTION)
    return sign_or_verify(settings)


if __name__ == "__main__":
    guarded(main)
