"""Lets the command answer with one damaged file after another: `mutants.py SOURCE COUNT SEED PHOTO RUN`.

A process of its own, so that a file that ends it is seen. Each row that it prints is a file that it survived.
"""

import contextlib
import io
import json
import random
import sys
import traceback
from pathlib import Path

import numpy as np
from archives import WEIGHTS, members, packed
from mutating import mutant, structure
from run_folder import forged

from imgrec.errors import InputError
from pipelines import predict


def lone(source: Path, data: bytes, photo: Path) -> list[str]:
    """Put the file beside what it needs, and return the words that ask it."""
    path = source.with_name(f"mutant{source.suffix}")
    path.write_bytes(data)
    return [str(photo), "--run", str(path), "--json"]


def main() -> None:
    source, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    photo, run = Path(sys.argv[4]), Path(sys.argv[5])
    rng, good = random.Random(seed), source.read_bytes()
    is_archive = source.suffix == ".keras"
    inner = members(good) if is_archive else {}
    near = structure(inner[WEIGHTS] if is_archive else good)
    for number in range(count):
        if is_archive and number % 4:  # three of four within the weights, the archive being whole
            parts = {**inner, WEIGHTS: mutant(inner[WEIGHTS], rng, near)}
            data = packed(parts)
        else:
            data = mutant(good, rng, () if is_archive else near)
        if is_archive:
            put = forged(
                run, source.with_name("forged"), lambda f, data=data: (f / "model.keras").write_bytes(data)
            )
            words = [str(photo), "--run", str(put), "--json", "--keras"]
        else:
            words = lone(source, data, photo)
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                predict.main(words)
            row = json.loads(printed.getvalue())
            said = "answered" if np.isfinite(row["probability"]) else "no number"
        except InputError as error:
            said = "refused" if "\n" not in str(error) else f"two lines: {error}"
        except Exception:
            said = "bug: " + traceback.format_exc().replace("\n", " | ")
        print(said, flush=True)


main()
