"""The run folder of a network that was made of trained ones: measured, exported and reported as any run."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras

from imgrec import bundle, files
from imgrec.compression.variants import check
from imgrec.errors import InputError
from imgrec.learning.session import Session
from imgrec.runs import results
from imgrec.runs.exporting import export, judged
from imgrec.runs.record import record_of
from imgrec.training.fit import Fitted

NONE: Mapping[str, Any] = MappingProxyType({})


def quantization(asked: str, model: keras.Model) -> str:
    """Return the variant to export: `auto` is ptq, or none where a layer has no int8 form, which is said.

    Raises:
        InputError: one was asked for, and a layer has no form in it.
    """
    try:
        check("ptq" if asked == "auto" else asked, model)
    except InputError as error:
        if asked != "auto":
            raise
        print(f"note: no int8 file: {error}")
        return "none"
    return "ptq" if asked == "auto" else asked


def begin(session: Session, made_of: dict[str, Any], out: Path) -> Path:
    """Return the unfinished folder of a run to `out`, with its network and all that is known by now.

    `made_of` is what run.json has beside what it has of any run.
    """
    folder = bundle.begin(out)
    results.write_inputs(session, folder)
    files.write_json(folder / "run.json", {**record_of(session), **made_of})
    files.write_file(folder / "model.keras", lambda path: session.model.save(path))
    return folder


def finish(session: Session, folder: Path, out: Path, figures: Mapping[str, Any] = NONE) -> int:
    """Measure, export and report, put the folder into its place; return the exit code.

    `figures` are what metrics.json has beside what it has of any run.
    """
    session, measured = results.answered(session, folder)
    exported = judged(
        export(session, folder, measured.outputs, milder=not measured.standing.by_chance), measured.standing
    )
    fitted = Fitted([], None, 0.0)
    results.write_results(session, folder, fitted, measured, exported)
    path = folder / "metrics.json"
    files.write_json(path, {**json.loads(path.read_text(encoding="utf-8")), **figures})
    where = bundle.finish(folder, out)
    return results.announce(session, where, fitted, measured, exported) or int(where != out)
