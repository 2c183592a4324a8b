"""Ways to make a file smaller after training, side by side on finished runs.

  python -m benchmarks.post_training RUN… [--variants NAME…] [--work DIR]

For each run the float32 file and every post-training variant, on the run's own test images and calibrated on
the same training images: accuracy and its loss with the paired 95 % interval, agreement with the float model,
KB, ms an image on one thread, and the layer that rounding harms most.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from imgrec.frameworks import import_frameworks

VARIANTS = ("float16", "dynamic", "ptq", "ptq_litert")


def main() -> None:
    """Read the arguments, make and measure the files, print the table."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    reader.add_argument("runs", nargs="+", type=Path)
    reader.add_argument(
        "--variants", nargs="+", default=VARIANTS, help="of --quantize, by default all of these"
    )
    reader.add_argument("--work", type=Path, help="folder of the files; by default a temporary one")
    given = reader.parse_args()
    import_frameworks()
    print("| run | file | accuracy | lost, points (95 %) | agreement | KB | ms | worst layer |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for run in given.runs:
            measure(run, (given.work or Path(temporary)) / run.name, given.variants)


def measure(run: Path, folder: Path, variants: Sequence[str]) -> None:
    """Make and measure the files of one run, and print a row each."""
    from imgrec.runs.exporting import export
    from imgrec.runs.finished import Finished, open_run
    from imgrec.runs.measuring import measure
    from imgrec.runs.results import subject_of

    finished = open_run(run)
    source = finished.own_source()
    outputs = None
    seen = set()
    for name in variants:
        asked = Finished(finished.bundle, finished.config.replace(quantize=name))
        session = asked.session(source)
        if outputs is None:
            outputs = measure(subject_of(session), source.test, source.train).outputs
        for row in export(session, folder, outputs, folder).rows:
            if row.name not in seen:
                seen.add(row.name)
                print(line(run.name, row), flush=True)


def line(run: str, row) -> str:
    """Return a row of the table."""
    from imgrec.export.parity import worst_layers

    low, high = (100 * end for end in row.lost.interval_95)
    lost = f"{100 * row.lost.difference:+.2f} ({low:+.2f} to {high:+.2f})"
    figures = (
        f"{row.accuracy:.4f}",
        lost,
        f"{row.agreement:.4f}",
        f"{row.kilobytes:,.0f}",
        f"{row.ms_per_image:.3f}",
    )
    return f"| {' | '.join((run, row.name, *figures, worst_layers(row, 1) or '–'))} |"


if __name__ == "__main__":
    main()
