"""Answer over HTTP: `python -m pipelines.serve --run saved_models/sample`."""

from collections.abc import Sequence

from imgrec.serving.command import Command
from pipelines.cli import guarded, parse

DESCRIPTION = """Answer over HTTP what is on a picture, with a trained run or one of its exported files.

  python -m pipelines.serve --run saved_models/sample
  python -m pipelines.serve --run saved_models/sample/exports/qat_int8.tflite --port 9000
  curl --data-binary @photo.jpg http://127.0.0.1:8080/predict

/docs describes the API, which also speaks the Open Inference Protocol, version 2. Only this machine is
answered unless --host says otherwise. A bearer token is asked for where IMGREC_TOKEN or --token-file has one.
On SIGTERM what has been accepted is answered first."""


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and serve; return 0. Raises InputError."""
    asked = parse(Command, argv, prog="python -m pipelines.serve", description=DESCRIPTION)
    if asked.cluster.engine == "ray":
        from imgrec.serving.ray_app import serve_by_ray as serve
    else:
        from imgrec.serving.command import serve_as_asked as serve
    serve(asked, lambda line: print(line, flush=True))
    return 0


if __name__ == "__main__":
    guarded(main)
