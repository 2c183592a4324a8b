"""The commands that use a run: a section of the report."""

import shlex
from pathlib import Path

from imgrec.evaluation.evaluated import Evaluated, Section
from imgrec.evaluation.sections.exports import files_of
from imgrec.phrases import Phrase


def use(given: Evaluated) -> Section:
    """The commands that use this run: with its Keras model, and with its best shipped file."""
    folder = str(given.config.get("out", "RUN"))
    passing = [str(row["name"]) for row in files_of(given) if row["passed"]]
    files = [name if Path(name).suffix else f"{name}.tflite" for name in passing]
    # The last is the most compressed; of several formats, the one that every installation opens.
    last = max(range(len(files)), key=lambda place: (files[place].endswith(".tflite"), place), default=0)
    file = f"{folder}/exports/{files[last]}" if files else ""
    command = "python -m pipelines.predict photo.jpg --run"
    data = {
        "run": f"{command} {shlex.quote(folder)}",
        "file": f"{command} {shlex.quote(file)}" if file else "",
        "path": file or folder,
    }
    return Section(Phrase("Use it"), "use.html.j2", data)
