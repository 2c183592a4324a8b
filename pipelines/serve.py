"""Answer over HTTP: `python -m pipelines.serve --run saved_models/sample`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from imgrec.extras import require
from imgrec.serving.trial.settings import TrialSettings
from pipelines.cli import guarded, parse

DESCRIPTION = """Answer over HTTP what is on a picture, with a trained run or one of its exported files.

  python -m pipelines.serve --run saved_models/sample
  python -m pipelines.serve --run saved_models/sample/exports/qat_int8.tflite --port 9000
  curl --data-binary @photo.jpg http://127.0.0.1:8080/predict

/docs describes the API, which also speaks the Open Inference Protocol, version 2. Only this machine is
answered unless --host says otherwise. A bearer token is asked for where IMGREC_TOKEN or --token-file has one.
On SIGTERM what has been accepted is answered first."""


@dataclass(frozen=True)
class Arguments:
    """What to serve, and where."""

    run: Annotated[Path, tyro.conf.arg(metavar="DIR|FILE.tflite|FILE.onnx|STORE", help_behavior_hint="")]
    """A run folder, an exported file, or a store of versions (pipelines.store), whose changes are followed; a
    .tflite or .onnx runs without TensorFlow."""
    host: str = "127.0.0.1"
    """The address to listen on; 0.0.0.0 for every one of this machine."""
    port: int = 8080
    """The port; 0 takes a free one, which is printed."""
    workers: int = 0
    """Processes that answer, 0 for one a processor (one for a Keras model, which uses them all)."""
    keras: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Let a run folder answer with its Keras model in any case: on a GPU, where there is one."""
    name: str = ""
    """What the model is called in addresses; by default as its run or file."""
    max_bytes: int = 10 << 20
    """Of a request's body; larger ones are refused with 413."""
    max_pixels: int = 0
    """Of a picture, before it is decoded; 0 for what the run's preprocessing allows."""
    queue: int = 128
    """Requests that wait at most; others are refused with 429."""
    deadline: float = 10.0
    """Seconds until a request is answered with 504."""
    linger: float = 0.5
    """Seconds after SIGTERM in which new connections still come through; a load balancer needs a few."""
    token_file: Path = Path()
    """A file with the secret that requests have to bear."""
    trial: TrialSettings = field(default_factory=TrialSettings)


def run(arguments: Arguments) -> int:
    """Serve until SIGTERM or Ctrl-C; return 0. Raises InputError."""
    require("uvicorn", "serve", "serving")
    from imgrec.serving.limits import Limits, Token
    from imgrec.serving.server import Place, serve
    from imgrec.serving.starting import plan_of_either

    limits = Limits(bytes=arguments.max_bytes, waiting=arguments.queue, seconds=arguments.deadline)
    token = Token.of(arguments.token_file)
    place = Place(arguments.host, arguments.port, arguments.linger, token, limits, trial=arguments.trial)
    plan = plan_of_either(
        arguments.run, arguments.workers, arguments.keras, arguments.max_pixels, arguments.name
    )
    serve(plan, place, lambda line: print(line, flush=True))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Read the flags and run."""
    return run(parse(Arguments, argv, prog="python -m pipelines.serve", description=DESCRIPTION))


if __name__ == "__main__":
    guarded(main)
