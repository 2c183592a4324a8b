"""run.json of a run: all that it was made of."""

from typing import Any

from imgrec import bundle, runtime
from imgrec.learning.session import Session


def record_of(session: Session) -> dict[str, Any]:
    """Return what run.json has of a session, ready for JSON."""
    source = session.source
    counts = {name: len(split) for name, split in source.splits.items()}
    return {
        "format": bundle.FORMAT,
        "command": session.command,
        "config": session.config.tree(),
        "asked": session.asked.tree(),
        "model": session.recorded_model,
        "machine": session.machine,
        "versions": runtime.versions(),
        "data": {"name": source.name, "fingerprint": source.fingerprint, "images": counts},
        "teachers": list(session.teachers),
    }
