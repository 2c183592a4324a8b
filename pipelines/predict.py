"""Say what is on an image: `python -m pipelines.predict photo.jpg --run saved_models/sample`."""

import sys
from collections.abc import Sequence
from itertools import chain

from imgrec.data.finding import Images, find_images
from imgrec.serving.asking import Command
from pipelines.cli import guarded, json_line, parse, with_value

DESCRIPTION = """Say what is on images, with a trained run, one of its exported files, or ImageNet weights.

  python -m pipelines.predict photo.jpg --run saved_models/sample
  python -m pipelines.predict photos/ --run saved_models/sample/exports/qat_int8.tflite --json
  python -m pipelines.predict archive/ --run saved_models/sample --out answers.jsonl --engine dask
  python -m pipelines.predict photo.jpg --weights imagenet --model efficientnet_lite0 --explain

A run folder answers with its float32.tflite, without TensorFlow, where that was proven to answer as the
Keras model. An image that cannot be read has its reason in its row, and the exit code is 1."""


def run(asked: Command) -> int:
    """Print every image's answer as it comes; return 1 where one cannot be read. Raises InputError."""
    from imgrec.serving.opening import open_predictor

    found = find_images(asked.paths)
    if found.left_out:
        print(f"left out: {found.left_out}", file=sys.stderr)
    if asked.batch.out.name:
        return _into_file(asked, found)
    adapt_to, by_keras = found.files if asked.adapt_bn else (), asked.keras or asked.maps.looks_inside
    predictor = open_predictor(asked.run, asked.weights, asked.model, adapt_to, by_keras)
    answers = asked.objects.answers(predictor, asked.run, found.files, asked.top, asked.maps.explain)
    answers = asked.maps.along(predictor.parts, answers, found.files)
    failed, width = 0, max(min(len(str(file)), 100) for file in found.files)
    for row in chain(answers, ({"path": str(folder), "error": reason} for folder, reason in found.closed)):
        failed += "error" in row or "unread" in row
        said = f"error: {row['error']}" if "error" in row else predictor.line(row)
        print(json_line(row) if asked.json else f"{row['path']:<{width}}  {said}", flush=True)
    if not asked.json:
        end = predictor.runtime.name + asked.maps.said
        print(f"images: {len(found.files)}, not read: {failed}, answers by {end}")
    return int(failed > 0)


def _into_file(asked: Command, found: Images) -> int:
    """Write every image's answer; return 1 where one cannot be read. Raises InputError."""
    from imgrec.serving.batch.running import answer_all

    rows, failed = answer_all(
        found, asked.run, asked.top, asked.keras, asked.batch, lambda line: print(line, flush=True)
    )
    print(f"done: {asked.batch.out} ({rows:,} rows, not read: {failed:,})")
    return int(failed > 0)


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    words = with_value(sys.argv[1:] if argv is None else argv, "--explain", "auto")
    return run(parse(Command, words, prog="python -m pipelines.predict", description=DESCRIPTION))


if __name__ == "__main__":
    guarded(main)
