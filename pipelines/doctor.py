"""Say what this machine can do, and what to install for what: `python -m pipelines.doctor`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from imgrec.runs import probes
from imgrec.runs.doctor import advice_on, faults_of, report
from pipelines.cli import guarded, parse, print_json

DESCRIPTION = """What this machine can do: versions, devices, what training would choose, what to install.

  python -m pipelines.doctor
  python -m pipelines.doctor --json

TensorFlow and JAX are tried in processes of their own, so that one which cannot be imported is named, and
does not end the command. Exit code 0: training can run; 1: something that it needs is missing or broken."""


@dataclass(frozen=True)
class Arguments:
    """How to say it."""

    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON and nothing else."""


def run(arguments: Arguments) -> int:
    """Look, print what was found and what to do; return the exit code."""
    facts = probes.gather()
    faults, advice = faults_of(facts), advice_on(facts)
    if arguments.json:
        print_json({**facts, "faults": faults, "advice": advice})
    else:
        lines = [report(facts), *(f"fault: {line}" for line in faults)]
        lines += [f"advice: {line}" for line in advice]
        print("\n".join([*lines, f"training can{'not run here: see the faults' if faults else ' run here'}"]))
    return 1 if faults else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    return run(parse(Arguments, argv, prog="python -m pipelines.doctor", description=DESCRIPTION))


if __name__ == "__main__":
    guarded(main)
