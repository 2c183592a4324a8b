"""A journal judged anew, and shown: `pipelines.ab report`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imgrec import files
from imgrec.data.audit.findings import printable
from imgrec.errors import InputError
from imgrec.evaluation.figures import FIRST, INK, SECOND, canvas, svg
from imgrec.evaluation.page import render
from imgrec.metrics.wording import percent
from imgrec.serving.trial import journal
from imgrec.serving.trial.judge import OPEN
from imgrec.serving.trial.replay import Replay, Replayed

MOST_EVIDENCE = 12.0
"""Decimal logarithm above which a curve need not be drawn."""


def judged(folder: Path) -> dict[str, Any]:
    """Return what a journal says: every comparison, the latest last, with its decisions.

    Raises:
        InputError: there is no journal, or nothing was compared.
    """
    replay = Replay(folder)
    if not replay.all:
        raise InputError(
            f"--journal {folder}: {replay.kinds['answer']:,} answers, and no two versions were compared; "
            "give the store a canary or a shadow (pipelines.store promote)"
        )
    trials = [_record(each) for each in replay.all]
    cut = journal.is_cut(folder)
    return {
        "journal": str(folder),
        "damaged_lines": replay.damaged,
        "oldest_deleted": cut,
        "trials": trials,
    }


def _record(each: Replayed) -> dict[str, Any]:
    """Return a comparison ready for JSON, names and reasons fit for a terminal."""
    told = each.judge.record()
    pair = told["pair"]
    sides = {"active": pair["active"]} | ({"canary": pair["other"]} if pair["role"] == "canary" else {})
    decisions = [
        {"t": event["t"], "did": printable(event["did"]), "why": printable(event["why"])}
        for event in each.decisions
    ]
    return {
        **told,
        "from": each.began["t"],
        "to": each.until,
        "milliseconds": {role: each.took.of(side["version"]) for role, side in sides.items()},
        "decisions": decisions,
    }


def named(version: Mapping[str, str]) -> str:
    """Return what a version is called."""
    return printable(version["called"] or version["version"][:12])


def lines(trial: Mapping[str, Any]) -> list[str]:
    """Return what a comparison says, for people, the verdict first."""
    pair, accuracy = trial["pair"], trial["accuracy"]
    other, active = named(pair["other"]), named(pair["active"])
    said = [f"{pair['role']} {other} against {active}: {trial['verdict']}"]
    said.append(f"  accuracy: {_difference(accuracy)}{_within(accuracy)}")
    took = {role: times for role, times in trial["milliseconds"].items() if times}
    if took:
        names = {"active": active, "canary": other}
        of_each = [f"{names[role]} {t['p50']:g} ms, 95 % {t['p95']:g} ms" for role, t in took.items()]
        said.append(f"  median time: {'; '.join(of_each)}")
    if trial["speed"] is not None:
        said.append(
            f"  quicker than half of all requests: {_difference(trial['speed'])}; {trial['speed']['verdict']}"
        )
    agreement = trial["agreement"]
    if agreement is not None and agreement["share"] is not None:
        bounds = f"{percent(agreement['low'])} to {percent(agreement['high'])}"
        said.append(f"  same answer: {percent(agreement['share'])} ({bounds})")
    said += [f"  {each['did']}: {each['why']}" for each in trial["decisions"]]
    return said


def _within(told: Mapping[str, Any]) -> str:
    """Return what no difference is larger than, where none was found."""
    if told["verdict"] != OPEN or told["difference"] is None:
        return ""
    return f"; none is larger than {100 * max(abs(told['low']), abs(told['high'])):.1f} points"


def _difference(told: Mapping[str, Any]) -> str:
    """Return a difference in points with its interval."""
    if told["difference"] is None:
        return "no request that counts yet"
    points = [f"{100 * told[key]:+.1f}" for key in ("difference", "low", "high")]
    return f"{points[0]} points ({points[1]} to {points[2]}) by {told['observations']:,} requests"


def write_page(found: Mapping[str, Any], path: Path) -> Path:
    """Write the page, one file that fetches nothing; return its path. Raises InputError where it cannot."""
    trials = [
        {
            **trial,
            "names": [named(trial["pair"][each]) for each in ("active", "other")],
            "figure": evidence(trial["accuracy"]),
            "times": [_time(trial[each]) for each in ("from", "to")],
        }
        for trial in reversed(found["trials"])
    ]
    title = Path(found["journal"]).name
    told = {"damaged": found["damaged_lines"], "cut": found["oldest_deleted"]}
    page = render("ab.html.j2", title=title, trials=trials, **told)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, page)
    except OSError as error:
        raise InputError(f"--out {path}: {error.strerror or error}") from None
    return path


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def evidence(told: Mapping[str, Any]) -> str:
    """Return an SVG of the evidence for better and for worse over requests; empty where there is none yet."""
    if len(told["curve"]) < 2:
        return ""
    counts, *sides = zip(*told["curve"], strict=True)
    with canvas("evidence", (6.4, 3.4)) as figure:
        axes = figure.add_subplot()
        axes.grid(linewidth=0.8)
        for name, heights, colour, dash in zip(
            told["evidence"], sides, (SECOND, FIRST), ("-", "--"), strict=True
        ):
            shown = [10 ** min(height, MOST_EVIDENCE) for height in heights]
            axes.plot(counts, shown, dash, color=colour, linewidth=2, label=name)
        axes.axhline(
            told["needed"], color=INK, linewidth=1.5, linestyle="-.", label=f"enough: {told['needed']:g}"
        )
        axes.set_yscale("log")
        axes.set(xlabel="requests with feedback", ylabel="evidence")
        axes.legend(frameon=False, fontsize=10)
        last = ", ".join(f"{name} {value:.3g}" for name, value in told["evidence"].items())
        return svg(
            figure,
            f"Evidence over {counts[-1]} requests with feedback, {told['needed']:g} being enough: {last}",
        )
