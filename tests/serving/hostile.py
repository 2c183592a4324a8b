"""Requests that mean harm, or that a broken program sends: bytes as they go over the wire."""

import base64
import gzip
import json
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from linear import PREPROCESS, pictures
from servers import png

GOOD = png(pictures(1)[0])
MODEL = "linear"
PAUSE = 0.4
"""Seconds between the bytes of a slow sender."""


@dataclass(frozen=True)
class Hostile:
    """A request.

    kind: what is wrong with it.
    parts: sent one after the other, `pause` seconds apart.
    ends: whether no more is sent after that; else the connection stays open until the server closes it.
    """

    kind: str
    parts: tuple[bytes, ...]
    pause: float = 0.0
    ends: bool = False


def post(body: bytes, kind: str = "", path: str = "/predict", *more: str, length: int = -1) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Connection: close", *more]
    lines.append(f"Content-Length: {len(body) if length < 0 else length}")
    return (
        "\r\n".join([*lines, *([f"Content-Type: {kind}"] if kind else []), "", ""]).encode("latin-1") + body
    )


def crowd(many: int, seed: int) -> list[Hostile]:
    """So many requests, all kinds in turn, each drawn anew, in mixed order."""
    rng = random.Random(seed)
    makers: tuple[Callable[[random.Random], Hostile], ...] = (
        *(_cut, _bomb, _lengths, _types, _headers, _nested, _damaged, _bytes, _tensors, _paths),
    )
    made = [makers[index % len(makers)](rng) for index in range(many - many // 20)]
    made += [_slow(rng) for _ in range(many // 20)]
    rng.shuffle(made)
    return made


def _cut(rng: random.Random) -> Hostile:
    request = post(GOOD + bytes(2000))
    return Hostile("cut body", (request[: rng.randrange(100, len(request) - 1)],), ends=True)


def _slow(rng: random.Random) -> Hostile:
    request = post(GOOD)[: rng.randrange(60, 90)]
    return Hostile("slow sender", tuple(request[k : k + 1] for k in range(len(request))), pause=PAUSE)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(width: int, height: int, data: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(data, 9)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


ZEROS = bytes(60_000_000)
BOMBS = (
    png_of(60_000, 60_000, b""),  # 3.6 G pixels, known from the header
    png_of(0x7FFFFFFF, 0x7FFFFFFF, bytes(100)),
    png_of(10_000, 5_900, ZEROS),  # 59 M pixels in 58 kB
    png_of(0, 0, b"x"),
    b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b"\x3b",
    b"BM" + struct.pack("<IIIIiiHHIIiiII", 100, 0, 54, 40, 1 << 30, 1 << 30, 1, 24, 0, 0, 0, 0, 0, 0),
)


def _bomb(rng: random.Random) -> Hostile:
    if rng.random() < 0.3:
        return Hostile(
            "bomb", (post(gzip.compress(ZEROS[:10_000_000]), "", "/predict", "Content-Encoding: gzip"),)
        )
    bomb = rng.choice(BOMBS)
    if rng.random() < 0.5:
        return Hostile("bomb", (post(bomb),))
    coded = json.dumps({"image": base64.b64encode(bomb).decode()}).encode()
    return Hostile("bomb", (post(coded, "application/json"),))


def _lengths(rng: random.Random) -> Hostile:
    lines = rng.choice(
        [
            b"Content-Length: -5",
            b"Content-Length: five",
            b"Content-Length: 5\r\nContent-Length: 7",
            b"Content-Length: 5\r\nTransfer-Encoding: chunked",
            b"Content-Length: 99999999999999999999999",
            b"Content-Length: 1099511627776",
            b"Content-Length: 0",
            b"Transfer-Encoding: gzip, chunked",
            b"Transfer-Encoding: chunked\r\n\r\nzz",
            b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF",
        ]
    )
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + lines + b"\r\n\r\n"
    return Hostile("wrong length", (head + b"12345",), ends=True)


def _types(rng: random.Random) -> Hostile:
    kind = rng.choice(
        ["text/html", "video/mp4", "application/json", "application/x-www-form-urlencoded", "/", "image",
         "a" * 9000,
         *(f"multipart/form-data{rest}" for rest in ("", "; boundary=b", "; boundary=" + "b" * 400))]
    )  # fmt: skip
    body = GOOD if kind.startswith(("application/json", "multipart")) else b"<html>" + rng.randbytes(50)
    return Hostile("wrong type", (post(body, kind),))


def _headers(rng: random.Random) -> Hostile:
    if rng.random() < 0.3:
        return Hostile("headers", (b"GET /" + b"y" * rng.randrange(40_000, 200_000),))
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(10_000))
    return Hostile("headers", (b"POST /predict HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n",))


def _nested(rng: random.Random) -> Hostile:
    opens = rng.choice(["[", '{"image":', '{"inputs":[', '[{"a":'])
    depth = rng.choice([500, 5_000, 100_000])
    body = opens * depth
    if rng.random() < 0.3:
        body = '{"image": ' + "9" * 100_000 + "}"
    path = rng.choice(["/predict", f"/v2/models/{MODEL}/infer"])
    return Hostile("nested JSON", (post(body.encode(), "application/json", path),))


def _damaged(rng: random.Random) -> Hostile:
    data = bytearray(png(np.frombuffer(rng.randbytes(300 * 200 * 3), np.uint8).reshape(200, 300, 3)))
    start = rng.choice([8, 30, 50])
    del data[rng.randrange(start, len(data) // 2) :]
    return Hostile("damaged picture", (post(bytes(data)),))


def _bytes(rng: random.Random) -> Hostile:
    first = rng.choice(
        [
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET\0/ HTTP/1.1\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /predict HTTP/1.1\r\nHost x\r\n\r\n",
            b"POST /predict HTTP/1.1\r\n: x\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.6\r\n",
        ]
    )
    return Hostile("no HTTP", (first + rng.randbytes(rng.randrange(200)),), ends=True)


def _tensors(rng: random.Random) -> Hostile:
    shape = [1, *PREPROCESS.shape]
    many = int(np.prod(shape))
    given = rng.choice(
        [
            {"name": "pixels", "datatype": "UINT8", "shape": [1 << 40, *shape[1:]], "data": [1]},
            {"name": "pixels", "datatype": "UINT8", "shape": shape, "data": [1e300] * many},
            {"name": "pixels", "datatype": "FP32", "shape": shape, "data": [1] * many},
            {"name": "pixels", "datatype": "UINT8", "shape": [-1, 8, 6, 3], "data": [1] * many},
            {"name": "image", "datatype": "BYTES", "shape": [64], "data": ["AA=="]},
            {"name": "image", "datatype": "BYTES", "shape": [1], "data": [[[[["x"]]]]]},
            {"name": "/etc/passwd", "datatype": "BYTES", "shape": [1], "data": ["AA=="]},
            {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 1 << 50}},
        ]
    )
    body = json.dumps({"inputs": [given]}).encode()
    more = rng.choice(
        [(), ("Inference-Header-Content-Length: 99999999",), ("Inference-Header-Content-Length: x",)]
    )
    return Hostile("wrong tensor", (post(body, "", f"/v2/models/{MODEL}/infer", *more),))


def _paths(rng: random.Random) -> Hostile:
    path = rng.choice(
        ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", f"/v2/models/{MODEL}/versions/..%2f..%2frun/infer",
         "/v2/models/../infer", "/v2/models/%00/infer", "/predict/../metrics", "//predict",
         "/predict%0d%0aX:y", "/predict?" + "&".join(f"a{k}=1" for k in range(2000)),
         "/predict?top=-1", "/predict?top=1e9"]
    )  # fmt: skip
    return Hostile("strange path", (post(GOOD, "", path),))
