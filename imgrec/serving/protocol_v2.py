"""The Open Inference Protocol, version 2, with its extension for binary tensors.

https://github.com/kserve/open-inference-protocol and Triton's `extension_binary_data.md`. A model has two
inputs, of which a request gives one: `image`, encoded files, BYTES `[N]`; or `pixels`, UINT8 `[N, H, W, C]`,
as `Preprocess` makes them. It has two outputs: `probabilities`, FP32 `[N, S]`, and `answer`, BYTES `[N]`:
what `pipelines.predict --json` says of each image.
"""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgrec.data.preprocess import Preprocess
from imgrec.serving.bodies import from_base64, json_in
from imgrec.serving.refusal import RefusedError
from imgrec.serving.wire import NONE

MOST_IMAGES = 64
"""In a request."""
EXPECTED = "expected a request of the Open Inference Protocol, version 2"
IMAGE, PIXELS, PROBABILITIES, ANSWER = "image", "pixels", "probabilities", "answer"
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Request:
    """What a client sent.

    id: its own name of the request; None where it gave none.
    inputs: pictures as files, or uint8 `[N, H, W, C]`.
    outputs: name of each output that it asks for, and whether it wants it in binary.
    """

    id: str | None
    inputs: list[bytes] | NDArray[np.uint8]
    outputs: dict[str, bool]


def metadata(
    name: str, versions: Sequence[str], platform: str, shape: Sequence[int], outputs: int
) -> dict[str, Any]:
    """Return what `/v2/models/NAME` says."""
    tensors = [(IMAGE, "BYTES", [-1]), (PIXELS, "UINT8", [-1, *shape])]
    made = [(PROBABILITIES, "FP32", [-1, outputs]), (ANSWER, "BYTES", [-1])]
    return {
        "name": name,
        "versions": list(versions),
        "platform": platform,
        "inputs": [dict(zip(("name", "datatype", "shape"), each, strict=True)) for each in tensors],
        "outputs": [dict(zip(("name", "datatype", "shape"), each, strict=True)) for each in made],
    }


def read(body: bytes, head: int, preprocess: Preprocess) -> Request:
    """Take a request apart; `head` is the length of its JSON part, `NONE` where all of it is.

    Raises:
        RefusedError: 400 of what is no such request, 413 of too many images.
    """
    length = len(body) if head == NONE else head
    if length > len(body):
        raise RefusedError(400, f"Inference-Header-Content-Length: {length}, beyond the body of {len(body)}")
    document = json_in(body[:length], EXPECTED)
    inputs, name = document.get("inputs"), document.get("id")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise RefusedError(400, f"inputs: expected one tensor, {IMAGE} or {PIXELS}")
    if name is not None and not (isinstance(name, str) and len(name) <= 128):
        raise RefusedError(400, "id: expected a text of at most 128 characters")
    given = inputs[0]
    shape = _shape_of(given)
    tensor = _tensor(given, body[length:])
    if given.get("name") == IMAGE:
        return Request(name, _pictures(given, shape, tensor), _wanted(document))
    if given.get("name") == PIXELS:
        return Request(name, _pixels(given, shape, tensor, preprocess), _wanted(document))
    raise RefusedError(400, f"inputs: no input of that name, the model has {IMAGE} and {PIXELS}")


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise RefusedError(400, f"{where}: expected a mapping")
    return value


def _shape_of(given: Mapping[str, Any]) -> list[int]:
    shape = given.get("shape")
    whole = isinstance(shape, list) and 1 <= len(shape) <= 4 and all(type(side) is int for side in shape)
    if not isinstance(shape, list) or not whole or min(shape) < 1:
        raise RefusedError(
            400, "shape: expected whole numbers of 1 or more, the first of them how many images"
        )
    if shape[0] > MOST_IMAGES:
        raise RefusedError(413, f"shape: {shape[0]} images in a request, expected {MOST_IMAGES} at most")
    return shape


def _tensor(given: Mapping[str, Any], rest: bytes) -> bytes | list[Any]:
    """Return the data of the one input: the binary part, or a list of JSON."""
    size = _mapping(given.get("parameters", {}), "parameters").get("binary_data_size")
    if size is None and isinstance(given.get("data"), list) and not rest:
        return list(given["data"])
    if type(size) is int and size == len(rest) and "data" not in given:
        return rest
    raise RefusedError(
        400, f"data: {len(rest)} bytes behind the JSON; expected binary_data_size of them, or a list in data"
    )


def _pictures(given: Mapping[str, Any], shape: list[int], tensor: bytes | list[Any]) -> list[bytes]:
    if given.get("datatype") != "BYTES" or len(shape) != 1:
        raise RefusedError(400, f"{IMAGE}: expected datatype BYTES and a shape of [N]")
    if isinstance(tensor, list):
        found = [from_base64(text, f"{IMAGE}: data") for text in tensor]
    else:
        found = _elements(tensor)
    if len(found) != shape[0]:
        raise RefusedError(400, f"{IMAGE}: {len(found)} elements, its shape says {shape[0]}")
    return found


def _elements(tensor: bytes) -> list[bytes]:
    """Return the elements of a BYTES tensor: each its length in four bytes, then as many."""
    found: list[bytes] = []
    start = 0
    while start < len(tensor):
        if len(found) >= MOST_IMAGES or start + _LENGTH.size > len(tensor):
            raise RefusedError(400, f"{IMAGE}: lengths and elements do not fit")
        (length,) = _LENGTH.unpack_from(tensor, start)
        start += _LENGTH.size
        if start + length > len(tensor):
            raise RefusedError(400, f"{IMAGE}: an element of {length} bytes goes beyond the tensor")
        found.append(tensor[start : start + length])
        start += length
    return found


def _pixels(
    given: Mapping[str, Any], shape: list[int], tensor: bytes | list[Any], preprocess: Preprocess
) -> NDArray[np.uint8]:
    expected = list(preprocess.shape)
    if given.get("datatype") != "UINT8" or shape[1:] != expected:
        raise RefusedError(400, f"{PIXELS}: expected datatype UINT8 and shape [N, {str(expected)[1:]}")
    if isinstance(tensor, bytes):
        values: NDArray[Any] = np.frombuffer(tensor, np.uint8)
    else:
        try:
            values = np.array(tensor).reshape(-1)
        except (ValueError, OverflowError):
            values = np.empty(0)
        if values.dtype.kind not in "iu" or (values.size and not 0 <= values.min() <= values.max() <= 255):
            raise RefusedError(400, f"{PIXELS}: data: expected whole numbers of 0 to 255")
    if values.size != np.prod(shape):
        raise RefusedError(400, f"{PIXELS}: {values.size} values, its shape says {np.prod(shape)}")
    return values.astype(np.uint8, copy=False).reshape(shape)


def _wanted(document: Mapping[str, Any]) -> dict[str, bool]:
    """Return name and form of each output that is asked for; all where none is named."""
    every = _mapping(document.get("parameters", {}), "parameters").get("binary_data_output", False)
    outputs = document.get("outputs", [{"name": PROBABILITIES}, {"name": ANSWER}])
    if not isinstance(outputs, list) or not outputs:
        raise RefusedError(400, "outputs: expected a list of names")
    wanted = {}
    for output in outputs:
        parameters = _mapping(_mapping(output, "outputs").get("parameters", {}), "parameters")
        if output.get("name") not in (PROBABILITIES, ANSWER) or "classification" in parameters:
            raise RefusedError(400, f"outputs: expected {PROBABILITIES} or {ANSWER}, without classification")
        wanted[output["name"]] = bool(parameters.get("binary_data", every))
    return wanted


def write(
    request: Request, scores: NDArray[np.float32], answers: Sequence[dict[str, Any]], model: tuple[str, str]
) -> tuple[bytes, int]:
    """Return the response's body and the length of its JSON part, `NONE` where all of it is.

    Args:
        request: what was asked.
        scores: float32 `[N, S]`.
        answers: `task.decode` of them.
        model: name and version.
    """
    texts = [json.dumps(answer, ensure_ascii=False) for answer in answers]
    made: dict[str, tuple[str, Sequence[int], Callable[[], list[Any]], Callable[[], bytes]]] = {
        PROBABILITIES: ("FP32", scores.shape, lambda: scores.ravel().tolist(), scores.tobytes),
        ANSWER: ("BYTES", [len(texts)], lambda: texts, lambda: _packed(texts)),
    }
    outputs, binaries = [], []
    for name, binary in request.outputs.items():
        datatype, shape, listed, packed = made[name]
        entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(shape)}
        if binary:
            binaries.append(packed())
            entry["parameters"] = {"binary_data_size": len(binaries[-1])}
        else:
            entry["data"] = listed()
        outputs.append(entry)
    named = {} if request.id is None else {"id": request.id}
    document = {"model_name": model[0], "model_version": model[1], **named, "outputs": outputs}
    text = json.dumps(document, ensure_ascii=False).encode()
    return b"".join([text, *binaries]), len(text) if binaries else NONE


def _packed(texts: Sequence[str]) -> bytes:
    encoded = [text.encode() for text in texts]
    return b"".join(part for each in encoded for part in (_LENGTH.pack(len(each)), each))
