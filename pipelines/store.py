"""Keep versions of a model, and say which one answers: `python -m pipelines.store add STORE RUN`."""

from collections.abc import Sequence

from imgrec.store.commands import Command, carry_out
from pipelines.cli import guarded, parse, print_json

DESCRIPTION = """Keep versions of a model in one folder, and say which of them answers.

  python -m pipelines.store add saved_models/store saved_models/monday
  python -m pipelines.store promote saved_models/store monday
  python -m pipelines.serve --run saved_models/store
  python -m pipelines.store add saved_models/store saved_models/tuesday
  python -m pipelines.store promote saved_models/store tuesday --as canary --share .1
  python -m pipelines.store rollback saved_models/store

A server that serves the store follows it: what is promoted takes over when it is ready, and no request is
lost. A version that cannot be served, differs from its manifest, or answers its golden pictures otherwise
than when it was added, is refused; what answered before goes on."""


def main(argv: Sequence[str] | None = None) -> int:
    """Read the words and do it."""
    asked: Command = parse(Command, argv, prog="python -m pipelines.store", description=DESCRIPTION)  # type: ignore[arg-type]
    told, lines = carry_out(asked)
    if asked.json:
        print_json(told)
    else:
        print(*lines, sep="\n")
    return 0


if __name__ == "__main__":
    guarded(main)
