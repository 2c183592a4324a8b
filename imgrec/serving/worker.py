"""A worker process: opens the model, answers frames from one socket, shares nothing with anybody.

`python -m imgrec.serving.worker SOCKET PATH [--keras] [--threads N] [--max-pixels N] [--name NAME]` is
started by the server (`pool.py`). It ends when the server does, as the socket then closes.
"""

import argparse
import dataclasses
import os
import signal
import socket
import sys
from pathlib import Path

from imgrec.errors import InputError
from imgrec.serving.facts import hello
from imgrec.serving.wire import HELLO, Frame, Splitter

CHUNK = 1 << 20
"""Bytes that are read at a time."""


def main() -> int:
    """Say hello, or why not; then answer until the server is gone."""
    words = argparse.ArgumentParser()
    words.add_argument("socket", type=int)
    words.add_argument("path", type=Path)
    words.add_argument("--keras", action="store_true")
    words.add_argument("--threads", type=int)
    words.add_argument("--max-pixels", type=int)
    words.add_argument("--name", default="")
    given = words.parse_args()
    # The terminal's Ctrl-C goes to all processes; the server alone decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with socket.socket(fileno=given.socket) as server:
        try:
            answering = _open(given)
        except InputError as fault:
            server.sendall(Frame(HELLO, 400, body=str(fault).encode()).packed())
            return 2
        server.sendall(Frame(HELLO, 200, body=hello(answering.facts)).packed())
        try:
            _serve(server, answering)
        except (BrokenPipeError, ConnectionResetError):
            return 0  # the server is gone
    return 0


def _open(given: argparse.Namespace):  # type: ignore[no-untyped-def]  # of what is imported within
    import cv2

    from imgrec.serving.answering import Answering
    from imgrec.serving.identity import identity
    from imgrec.serving.predictor import Predictor

    cv2.setNumThreads(1)  # the others work beside this one
    name, version, platform = identity(given.path)
    predictor = Predictor.load(given.path, given.keras, given.threads)
    if given.max_pixels and given.max_pixels < predictor.preprocess.max_pixels:
        predictor.preprocess = dataclasses.replace(predictor.preprocess, max_pixels=given.max_pixels)
    if platform == "run":
        platform = "tflite" if predictor.runtime.name.endswith(".tflite") else "keras"
    return Answering(predictor, given.name or name, version, platform)


def _serve(server: socket.socket, answering) -> None:  # type: ignore[no-untyped-def]
    splitter = Splitter()
    while data := server.recv(CHUNK):
        jobs = splitter.feed(data)
        for start in range(0, len(jobs), answering.batch):
            replies = answering.answer(jobs[start : start + answering.batch])
            server.sendall(b"".join(reply.packed() for reply in replies))


if __name__ == "__main__":
    sys.exit(main())
