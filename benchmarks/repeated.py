"""Runs under several seeds, kept in a file as they are done, so that an interrupted comparison goes on."""

import json
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from imgrec.files import write_text

Results = dict[str, dict[str, Any]]


def repeat(path: Path, settings: dict[str, Any], plan: Iterable[tuple[str, Callable[[], Any]]]) -> Results:
    """Do the runs of `plan` that `path` does not hold, writing the file after each; return all results.

    Args:
        path: a JSON file, `{"settings", "runs": {name: result}}`; made where there is none.
        settings: what all runs have in common; a file with others ends the program.
        plan: name of each run, such as `plain, seed 0`, and what gives its result, a mapping of figures.
    """
    record = json.loads(path.read_text()) if path.exists() else {"settings": settings, "runs": {}}
    if record["settings"] != settings:
        sys.exit(f"{path} holds runs with {record['settings']}: give another --out")
    for name, run in plan:
        if name in record["runs"]:
            continue
        print(f"\n{name}", flush=True)
        record["runs"][name] = run()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(record, indent=1, ensure_ascii=False))
        print(json.dumps(record["runs"][name], ensure_ascii=False), flush=True)
    return record["runs"]


def table(results: Results, columns: Sequence[str]) -> str:
    """One row a name without its seed: mean ± standard deviation over the seeds, in per cent."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for name, result in results.items():
        rows.setdefault(name.rpartition(", seed")[0], []).append(result)
    lines = [f"{'':>28}" + "".join(f"{column:>17}" for column in columns)]
    for name, runs in rows.items():
        cells = [spread([run[column] for run in runs]) for column in columns]
        lines.append(f"{name:>23} × {len(runs):<2} " + "".join(f"{cell:>17}" for cell in cells))
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation of shares, in per cent; a single value without the latter."""
    deviation = f" ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.2f}{deviation}"
