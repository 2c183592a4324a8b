"""What is asked of the engine, and what it answers: files in a folder that both processes know."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

JOB, DATA, RESULT, ANSWERS, FILE = "job.json", "data.npz", "result.json", "answers.npz", "model.tflite"
Do = Literal["answer", "accepts", "quantise", "cluster"]


@dataclass(frozen=True)
class Recipe:
    """How the engine trains: SGD with Nesterov momentum, the batches in the order they are given.

    rates: of each step of all epochs; weight_decay: decoupled, spares biases and normalisation.
    """

    batch: int
    epochs: int
    rates: list[float]
    momentum: float = 0.9
    weight_decay: float = 0.0
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class Job:
    """One question.

    do: `answer` translates and answers; `accepts` also asks tfmot whether it takes the model, as it stands
        and with configs of ours; `quantise` and `cluster` train it so, and write a TFLite file.
    own_configs: whether layers that tfmot refuses get a `QuantizeConfig` of ours, which rounds their output.
    clusters: values that a kernel may have.
    """

    do: Do
    own_configs: bool = False
    clusters: int = 16
    recipe: Recipe | None = None


@dataclass(frozen=True)
class Data:
    """Images uint8 or float32 `[N, H, W, C]` in 0…255, targets float32 `[N, K]`; empty where not needed.

    train: batches one after another, all epochs; val: judges an epoch; calibration: ranges after training;
    test: is answered.
    """

    test: np.ndarray
    train: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))
    train_targets: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    val: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))
    val_targets: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    calibration: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))


@dataclass(frozen=True)
class Answer:
    """What came back.

    refused: why tfmot does not take the model, in one line; empty where it does.
    refused_with_configs: of `accepts`, why not even with configs of ours; empty where it does.
    unsupported: classes of layers that its registry does not have.
    outputs: float32 `[N, K]` of the test images by model: `float` is the translated one, `trained` the one
        that was quantised or clustered.
    wall_s, processor_s: what training took.
    """

    refused: str = ""
    refused_with_configs: str = ""
    unsupported: list[str] = field(default_factory=list)
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    wall_s: float = 0.0
    processor_s: float = 0.0


def write_job(job: Job, data: Data, folder: Path) -> None:
    """Write the question into `folder`."""
    (folder / JOB).write_text(json.dumps(dataclasses.asdict(job)), encoding="utf-8")
    with open(folder / DATA, "wb") as stream:
        np.savez(stream, **{name: np.asarray(value) for name, value in vars(data).items()})  # type: ignore[arg-type]


def read_job(folder: Path) -> tuple[Job, Data]:
    """Read the question."""
    asked: dict[str, Any] = json.loads((folder / JOB).read_text(encoding="utf-8"))
    recipe = asked.pop("recipe")
    job = Job(**asked, recipe=Recipe(**recipe) if recipe else None)
    with np.load(folder / DATA, allow_pickle=False) as stored:
        return job, Data(**{name: stored[name] for name in stored.files})


def write_answer(answer: Answer, folder: Path) -> None:
    """Write what came out."""
    said = {name: value for name, value in vars(answer).items() if name != "outputs"}
    with open(folder / ANSWERS, "wb") as stream:
        np.savez(stream, **answer.outputs)  # type: ignore[arg-type]
    (folder / RESULT).write_text(json.dumps(said), encoding="utf-8")


def read_answer(folder: Path) -> Answer:
    """Read what came out."""
    said = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    with np.load(folder / ANSWERS, allow_pickle=False) as stored:
        return Answer(**said, outputs={name: stored[name] for name in stored.files})
