"""How soon and how often a judge that looks after every request is right about two versions.

python -m benchmarks.ab [--runs 400] [--requests 20000] [--seed 0] [--journal DIR]

Simulated feedback, the server's own `Judge` on it: versions that are right on 90 % of requests and on 90 %,
93 % or 87 %; canaries that get half or a tenth of the traffic, and shadows that are asked the same picture,
of which the two disagree about 6 % of all. A run ends when the judge calls a winner, or after all requests.
With --journal a run of each kind is written down as a server writes it, for `pipelines.ab report`.
"""

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imgrec.serving.trial.journal import Journal
from imgrec.serving.trial.judge import BETTER, OPEN, WORSE, Judge, Pair

RIGHT, GAP, DISCORDANT = 0.9, 0.03, 0.06
ACTIVE, OTHER = "a" * 64, "b" * 64
WAYS = (("canary", 0.5), ("canary", 0.1), ("shadow", 0.0))


def pair_of(role: str, share: float) -> Pair:
    """Return two versions to compare."""
    return Pair({"version": ACTIVE, "called": "a"}, {"version": OTHER, "called": "b"}, role, share)


def events(role: str, share: float, gap: float, draw: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Give feedback on one request after another, without end."""
    number, now = 0, 0.0
    while True:
        number += 1
        now += 0.1
        if role == "canary":
            second = draw.random() < share
            right = bool(draw.random() < RIGHT + gap * second)
            version = OTHER if second else ACTIVE
            yield {"kind": "feedback", "t": now, "key": str(number), "version": version, "right": right}
            continue
        place = draw.random()
        better, worse = (DISCORDANT + gap) / 2, (DISCORDANT - gap) / 2
        alike = draw.random() < (RIGHT - worse) / (1 - DISCORDANT)
        first = place >= better and (place < better + worse or alike)
        other = place < better or (place >= better + worse and first)
        yield {"kind": "paired", "t": now, "version": ACTIVE, "shadow": OTHER} | {
            "right": bool(first),
            "shadow_right": bool(other),
        }


def called(role: str, share: float, gap: float, requests: int, seed: int) -> tuple[str, int]:
    """Return what a judge called, and after how many requests."""
    judge, draw = Judge(pair_of(role, share), points=3), np.random.default_rng(seed)
    for number, event in enumerate(events(role, share, gap, draw), 1):
        judge.take(event)
        if judge.verdict != OPEN or number == requests:
            return judge.verdict, number
    raise AssertionError("events have no end")


def write_journal(folder: Path, requests: int, seed: int) -> None:
    """Write down a run of each way in which the other version is better."""
    journal = Journal(folder, 1024)
    for role, share in WAYS:
        draw = np.random.default_rng(seed)
        journal.write([{"kind": "trial", "t": 0.0, "alpha": 0.05} | pair_of(role, share).record()])
        source = events(role, share, GAP, draw)
        journal.write([next(source) for _ in range(requests)])
        journal.write([{"kind": "end", "t": 0.1 * requests, "role": role}])
    journal.close()


def main() -> None:
    """Simulate and print a table."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--journal", type=Path)
    words = parser.parse_args()
    if words.journal:
        write_journal(words.journal, words.requests, words.seed)
    print(
        "| traffic | true difference | better | worse | requests until then: 10 %, median, 90 % of the runs |"
    )
    print("|---|---|---|---|---|")
    for role, share in WAYS:
        for gap in (0.0, GAP, -GAP):
            begun = time.perf_counter()
            ends = [called(role, share, gap, words.requests, words.seed + k) for k in range(words.runs)]
            spread = np.quantile([n for name, n in ends if name != OPEN] or [math.nan], (0.1, 0.5, 0.9))
            counts = [sum(name == each for name, _ in ends) for each in (BETTER, WORSE)]
            what = f"canary, {share:.0%}" if role == "canary" else "shadow"
            soon = "–" if np.isnan(spread[0]) else ", ".join(f"{each:,.0f}" for each in spread)
            print(f"| {what} | {100 * gap:+.0f} | {counts[0]} | {counts[1]} | {soon} |", flush=True)
            print(f"  {time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
