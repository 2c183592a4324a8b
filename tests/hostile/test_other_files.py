"""Weights, arrays, recipes and graphs that would execute or read something: none does."""

import io
import json
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from canary import silence
from configs import Payload
from mutating import mutant
from test_hostile_models import refused

from imgrec.errors import InputError
from imgrec.guards import hdf5, onnx_file
from imgrec.models import torch_file
from imgrec.models.pretrained import read_state
from pipelines import train
from pipelines.cli import read_recipe

TORCH = Path(__file__).parents[1] / "models"


def torch_zip(payload: object) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(payload, protocol=2))
    return stream.getvalue()


WEIGHTS: dict[str, Callable[[Path], tuple[str, bytes]]] = {
    "a pickle in a .pth": lambda canary: (".pth", pickle.dumps(Payload(canary))),
    "a pickle in a zip": lambda canary: (".pth", torch_zip({"weight": Payload(canary)})),
    "a pickle in a .bin": lambda canary: (".bin", torch_zip(Payload(canary))),
    "a pickle as .safetensors": lambda canary: (".safetensors", pickle.dumps(Payload(canary))),
    "a header of an exabyte": lambda canary: (".safetensors", (1 << 60).to_bytes(8, "little") + b"{}"),
    "a tensor of a petabyte": lambda canary: (".safetensors", safetensors("F32", [1 << 25, 1 << 25])),
    "numbers of a type that is none": lambda canary: (".safetensors", safetensors("os.system", [2])),
}


def safetensors(dtype: str, shape: list[int]) -> bytes:
    head = json.dumps({"weight": {"dtype": dtype, "shape": shape, "data_offsets": [0, 4]}}).encode()
    return len(head).to_bytes(8, "little") + head + bytes(4)


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_execute_nothing(name: str, tmp_path: Path, secret: Path) -> None:
    canary = tmp_path / "canary"
    ending, data = WEIGHTS[name](canary)
    path = tmp_path / f"weights{ending}"
    path.write_bytes(data)
    with silence(canary, secret):
        refused(lambda: read_state(path))


@pytest.mark.parametrize("name", ["torch_zip.pth", "torch_legacy.pth"])
def test_damaged_weights_are_read_or_refused(name: str, tmp_path: Path) -> None:
    rng, good = random.Random(2), (TORCH / name).read_bytes()
    path = tmp_path / "mutant.pth"
    refusals = 0
    for _ in range(1000):
        path.write_bytes(mutant(good, rng))
        try:
            torch_file.read(path)
        except InputError:
            refusals += 1
    assert refusals > 300


def test_pickled_arrays_are_refused(tmp_path: Path, secret: Path) -> None:
    canary = tmp_path / "canary"
    np.savez(tmp_path / "data.npz", images=np.array([Payload(canary)], object), labels=np.zeros(1))
    with silence(canary, secret):
        refused(
            lambda: train.main(["--data", f"npz:{tmp_path / 'data.npz'}", "--out", str(tmp_path / "out")])
        )


LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch CANARY']",
        "model: !!python/object/apply:pathlib.Path.touch [CANARY]",
        "model: !!python/name:os.system",
        LAUGHS,
        f"{LAUGHS}model: *a11\n",
        "model: [&a0 [x, x], &a1 [*a0, *a0], [*a1, *a1]]",
        "a: " * 3 + "b",
        "[" * 1000,
    ],
)
def test_recipes_execute_nothing(text: str, tmp_path: Path, secret: Path) -> None:
    canary = tmp_path / "canary"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text.replace("CANARY", str(canary)))
    with silence(canary, secret):
        refused(lambda: read_recipe(str(recipe)))


def test_an_onnx_file_refers_to_no_other(tmp_path: Path, secret: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    weight = TensorProto(name="w", data_type=TensorProto.UINT8, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", str(secret)), ("length", "4")):
        weight.external_data.add(key=key, value=value)
    taken = helper.make_tensor_value_info("x", TensorProto.UINT8, [4])
    given = helper.make_tensor_value_info("y", TensorProto.UINT8, [4])
    graphs = {
        "an initializer": ([helper.make_node("Add", ["x", "w"], ["y"])], [weight]),
        "a constant": ([helper.make_node("Constant", [], ["y"], value=weight)], []),
    }
    for nodes, weights in graphs.values():
        graph = helper.make_graph(nodes, "g", [taken], [given], weights)
        path = tmp_path / "evil.onnx"
        path.write_bytes(onnx.ModelProto(ir_version=9, graph=graph).SerializeToString())
        with silence(tmp_path / "canary", secret), pytest.raises(InputError, match="in another file"):
            onnx_file.check(path)


def test_the_strict_reader_refuses_what_it_does_not_know() -> None:
    for data in (b"", b"\x89HDF\r\n\x1a\n", bytes(200), b"\x89HDF\r\n\x1a\n" + bytes(88)):
        with pytest.raises(hdf5.Refused):
            hdf5.datasets(memoryview(data))
