"""The server by Ray Serve: replicas on one machine or many, behind Ray's own HTTP server.

`build` is for Ray's command: `serve run imgrec.serving.ray_app:build run=saved_models/sample replicas=2`.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from imgrec.errors import InputError
from imgrec.extras import require
from imgrec.processors import cores
from imgrec.serving.command import Command, limits_of, plan_of
from imgrec.serving.hosted import Hosted
from imgrec.serving.limits import Token
from imgrec.serving.listening import bound
from imgrec.serving.trial.settings import TrialSettings
from imgrec.serving.watch_settings import WatchSettings

NAME = "imgrec"
SPARE = 64
"""Requests that workers of a replica may have beside those that wait, so that its own 429 comes first."""
TARGET = 4
"""Requests under way for each worker that autoscaling aims at."""

QUIETLY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray starts its processes at 15: beside anything else on the processors they hardly run.
    "RAY_worker_niceness": "0",
}
"""Environment of a Ray that is started here: nothing is told to its makers."""


class Replica:
    """What Ray asks beside requests; it adds the application, as `app`."""

    app: Hosted

    def check_health(self) -> None:
        """Raise where no worker can answer: Ray then starts another replica."""
        if not self.app.ready:
            raise RuntimeError("no worker is ready")


def application(asked: Command) -> Any:
    """Return the deployment, for `ray.serve.run`. Raises InputError of what cannot be served."""
    serve = require("ray.serve", "ray", "--engine ray")
    asked = replace(asked, run=asked.run.absolute(), workers=asked.workers or 1)
    if asked.token_file.name:
        asked = replace(asked, token_file=asked.token_file.absolute())
    if asked.trial != TrialSettings() or asked.watching != WatchSettings():
        raise InputError(
            "--engine ray: each replica knows but its own requests, so that none compares versions, watches "
            "for drift or writes a log; leave out --journal, --decide, --alpha, --log and their like"
        )
    plan_of(asked)
    Token.of(asked.token_file)
    limits, cluster = limits_of(asked), asked.cluster
    options: dict[str, Any] = {"num_replicas": cluster.least_replicas}
    if cluster.most_replicas > cluster.least_replicas:
        scaling = {"min_replicas": cluster.least_replicas, "max_replicas": cluster.most_replicas}
        options = {"autoscaling_config": {**scaling, "target_ongoing_requests": TARGET * asked.workers}}
    made = serve.deployment(
        serve.ingress(Hosted(asked))(Replica),
        name=NAME,
        max_ongoing_requests=limits.waiting + SPARE * asked.workers,
        max_queued_requests=limits.waiting,
        graceful_shutdown_timeout_s=limits.seconds + limits.sending,
        ray_actor_options={"num_cpus": asked.workers},
        **options,
    )
    return made.bind()


def build(options: Mapping[str, str]) -> Any:
    """Return the deployment for flags of `pipelines.serve` without their dashes, as Ray's commands give them.

    Raises:
        InputError: as `application`.
    """
    import tyro

    words = [
        word
        for name, value in options.items()
        for word in (f"--{name}", *(() if value.lower() == "true" else (value,)))
    ]
    return application(tyro.cli(Command, args=words, config=(tyro.conf.OmitArgPrefixes,)))


def serve_by_ray(asked: Command, said: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; `said` takes the lines for the user.

    Raises:
        InputError: no Ray, nobody at the address, a port that is taken, or nothing that can be served.
    """
    os.environ.update(QUIETLY | os.environ)
    ray, serve = require("ray", "ray", "--engine ray"), require("ray.serve", "ray", "--engine ray")
    deployment = application(asked)
    with bound(asked.host, asked.port) as listener:
        port = listener.getsockname()[1]
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    _join(ray, asked)
    try:
        everywhere = "EveryNode" if asked.cluster.address else "HeadOnly"
        serve.start(proxy_location=everywhere, http_options={"host": asked.host, "port": port})
        over = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: over.set())
        try:
            serve.run(deployment, name=NAME, route_prefix="/")
        except RuntimeError as error:
            why = " ".join(str(error).split())[-400:]
            raise InputError(f"--engine ray: the replicas cannot be started: {why}") from None
        cluster = asked.cluster
        said(
            f"serving {cluster.least_replicas} replicas by Ray Serve {ray.__version__} on http://{asked.host}:{port}"
        )
        over.wait()
        serve.delete(NAME)  # waits for what is being answered
        if not cluster.address:
            serve.shutdown()
    finally:
        ray.shutdown()
    said("done")


def _join(ray: Any, asked: Command) -> None:
    """Start Ray here, for this machine alone, or join a cluster."""
    cluster = asked.cluster
    quiet = {"log_to_driver": False, "logging_level": "error"}
    if not cluster.address:
        needed = max(cluster.least_replicas, cluster.most_replicas) * (asked.workers or 1)
        ray.init(
            address="local",
            num_cpus=max(cores(), needed),
            include_dashboard=False,
            _node_ip_address="127.0.0.1",  # whoever reaches Ray's ports can run code
            **quiet,
        )
        return
    try:
        ray.init(address=cluster.address, **quiet)
    except (ConnectionError, RuntimeError) as error:
        raise InputError(f"--address {cluster.address}: no Ray cluster answers there ({error})") from None
