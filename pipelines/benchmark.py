"""What the files of a run cost: `python -m pipelines.benchmark --run RUN`."""

import sys
from collections.abc import Sequence

from imgrec.runs.benchmark.command import BenchmarkSettings, measure, page_of, table
from pipelines.cli import guarded, parse, print_json

DESCRIPTION = """Size, milliseconds, memory and multiplications of exported files, one image at a time.

  python -m pipelines.benchmark --run saved_models/photos
  python -m pipelines.benchmark --run saved_models/photos --peers
  python -m pipelines.benchmark a.tflite b.tflite --threads 1 --rounds 5 --json

Each measurement is a process of its own, with TFLite's quick kernels (XNNPACK: "on, 20" where they run the
graph in 20 parts, as they do not take all of it) and without. MB is the most memory that it held beyond its
libraries, µJ what its multiply-accumulates take as arithmetic alone. A page shows accuracy, speed and size
in one figure; accuracies are the gate's, where metrics.json lies beside."""


def run(settings: BenchmarkSettings, command: str = "") -> int:
    """Measure, print, write the page; return the exit code, 0. Raises InputError."""
    from imgrec.evaluation.benchmark_page import Measured, write_page

    found, page = measure(settings), page_of(settings)
    rows = [row.record() for row in found.rows]
    if page:
        write_page(page, Measured(found.title, rows, found.machine, found.missing, command))
    if settings.json:
        print_json(found.record())
        return 0
    print(
        "\n".join([table(found.rows), *(f"not measured: {line}" for line in found.missing), f"done: {page}"])
    )
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    words = list(sys.argv[1:] if argv is None else argv)
    settings = parse(BenchmarkSettings, words, prog="python -m pipelines.benchmark", description=DESCRIPTION)
    return run(settings, " ".join(["python -m pipelines.benchmark", *words]))


if __name__ == "__main__":
    guarded(main)
