"""What a worker says of the model that it serves."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Facts:
    """What a worker says of the model that it serves.

    name, version: of the model; the version is a sha256, of a file or of a run's manifest.
    platform: what runs it: tflite, onnx, keras …
    task, labels, shape, outputs: as the model has them.
    batch: how many requests a worker answers at once, 1 where that gains nothing.
    milliseconds: of one small picture then, with decoding.
    marks: what is said of each image beside class, probability and margin.
    explains: whether it shows what an answer rests on: a Keras model does.
    """

    name: str
    version: str
    platform: str
    task: str
    labels: tuple[str, ...]
    shape: tuple[int, ...]
    outputs: int
    batch: int
    milliseconds: float
    marks: tuple[str, ...]
    explains: bool


def hello(facts: Facts) -> bytes:
    """Return facts as a worker sends them."""
    return json.dumps(vars(facts), ensure_ascii=False).encode()


def facts_of(body: bytes) -> Facts:
    """Return what `hello` was made of."""
    held: dict[str, Any] = json.loads(body)
    lists: dict[str, Any] = {name: tuple(part) for name, part in held.items() if isinstance(part, list)}
    return Facts(**(held | lists))
