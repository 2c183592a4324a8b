"""Which of two versions is better, by a server's journal: `python -m pipelines.ab report --journal DIR`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from imgrec.errors import InputError
from pipelines.cli import guarded, parse, print_json

DESCRIPTION = """Say which of two versions is better, by the journal of a server.

  python -m pipelines.store promote saved_models/store tuesday --as canary --share .1
  python -m pipelines.serve --run saved_models/store --journal saved_models/journal
  curl -H 'Content-Type: application/json' -d '{"id": "…", "label": "Trouser"}' http://127.0.0.1:8080/feedback
  python -m pipelines.ab report --journal saved_models/journal

It may be asked at any time, and again and again: an interval that is looked at after every request keeps its
promise. A canary is judged by feedback on the requests that it got, a shadow picture by picture, which takes
fewer of them."""


@dataclass(frozen=True)
class Arguments:
    """What to report on."""

    what: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="report", help_behavior_hint="")]
    """report: the only thing there is."""
    journal: Path
    """The folder that pipelines.serve --journal names."""
    out: Path = Path()
    """The page; by default JOURNAL.html beside the folder."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON and write no page."""


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags, judge, write the page, print."""
    asked = parse(Arguments, argv, prog="python -m pipelines.ab", description=DESCRIPTION)
    if asked.what != "report":
        raise InputError(
            f"{asked.what}: expected report, as in `python -m pipelines.ab report --journal DIR`"
        )
    from imgrec.serving.trial.report import judged, lines, write_page

    found = judged(asked.journal)
    if asked.json:
        print_json(found)
        return 0
    folder = asked.journal.resolve()
    path = write_page(found, asked.out if asked.out.name else folder.with_name(f"{folder.name}.html"))
    if found["oldest_deleted"]:
        print("note: the oldest part of the journal has been deleted; what is left is judged")
    for trial in found["trials"]:
        print(*lines(trial), sep="\n")
    print(f"done: {path}")
    return 0


if __name__ == "__main__":
    guarded(main)
