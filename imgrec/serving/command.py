"""What a user may ask of a server, and its start; read by help, so nothing heavy is imported at first."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from imgrec.extras import require
from imgrec.serving.cluster import ClusterSettings
from imgrec.serving.trial.settings import TrialSettings
from imgrec.serving.watch_settings import WatchSettings

if TYPE_CHECKING:
    from imgrec.serving.jobs import Plan
    from imgrec.serving.limits import Limits
    from imgrec.serving.starting import StorePlan


@dataclass(frozen=True)
class Command:
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
    watching: WatchSettings = field(default_factory=WatchSettings)
    cluster: ClusterSettings = field(default_factory=ClusterSettings)


def serve_as_asked(asked: Command, said: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; `said` takes the lines for the user. Raises InputError."""
    require("uvicorn", "serve", "serving")
    from imgrec.serving.limits import Token
    from imgrec.serving.server import Place, serve

    token = Token.of(asked.token_file)
    place = Place(asked.host, asked.port, asked.linger, token, limits_of(asked), asked.trial, asked.watching)
    serve(plan_of(asked), place, said)


def limits_of(asked: Command) -> "Limits":
    """Return what requests may cost. Raises InputError."""
    from imgrec.serving.limits import Limits

    return Limits(bytes=asked.max_bytes, waiting=asked.queue, seconds=asked.deadline)


def plan_of(asked: Command) -> "Plan | StorePlan":
    """Return how the workers are started. Raises InputError."""
    from imgrec.serving.starting import plan_of_either

    return plan_of_either(asked.run, asked.workers, asked.keras, asked.max_pixels, asked.name)
