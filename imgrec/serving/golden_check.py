"""A version's workers answer its golden pictures before anybody else's."""

import asyncio
import json
import struct

import numpy as np
from numpy.typing import NDArray

from imgrec.errors import InputError
from imgrec.serving.pool import Pool
from imgrec.serving.protocol_v2 import IMAGE, PROBABILITIES
from imgrec.serving.refusal import RefusedError
from imgrec.serving.wire import INFER, Frame
from imgrec.store.golden import Golden

TRIES = 3
"""A picture is sent again where a worker was late: the old version is answering at the same time."""


async def check(pool: Pool, golden: Golden, rounding: float) -> None:
    """Send the pictures of a version to its workers, one to each at a time.

    Args:
        pool: of the version.
        golden: its pictures and what it answered to them.
        rounding: how far scores may be apart.

    Raises:
        InputError: an answer differs, or there is none.
    """
    together = len(pool.workers) or 1
    for start in range(0, len(golden.pictures), together):
        indices = range(start, min(start + together, len(golden.pictures)))
        answers = await asyncio.gather(*(_answer(pool, golden.pictures[index]) for index in indices))
        for index, scores in zip(indices, answers, strict=True):
            if scores is not None and not (apart := golden.apart(index, scores)) <= rounding:
                raise InputError(
                    f"golden picture {index}: scores are {apart:.2g} from those that it had when the version "
                    f"was added, expected {rounding:.2g} at most"
                )


async def _answer(pool: Pool, picture: bytes) -> NDArray[np.float32] | None:
    """Return the scores `[S]` of a picture; None where this server's limits keep it out."""
    frame = _frame(picture)
    for _ in range(TRIES):
        done: asyncio.Future[Frame | RefusedError] = asyncio.get_running_loop().create_future()
        pool.submit(frame, lambda reply, done=done: None if done.done() else done.set_result(reply))  # type: ignore[misc]
        reply = await done
        if isinstance(reply, Frame) and reply.code == 200:
            return np.frombuffer(reply.body, np.float32, offset=reply.head)
        if isinstance(reply, Frame) and reply.code == 413:
            return None  # --max-pixels is below what the picture has
    said = f"{reply}" if isinstance(reply, RefusedError) else reply.body.decode(errors="replace")
    raise InputError(f"golden picture: not answered: {said}")


def _frame(picture: bytes) -> Frame:
    """Return a request for the scores of a file."""
    size = {"binary_data_size": 4 + len(picture)}
    head = json.dumps(
        {
            "inputs": [{"name": IMAGE, "datatype": "BYTES", "shape": [1], "parameters": size}],
            "outputs": [{"name": PROBABILITIES, "parameters": {"binary_data": True}}],
        }
    ).encode()
    body = b"".join((head, struct.pack("<I", len(picture)), picture))
    return Frame(0, INFER, head=len(head), text=b"golden\n", body=body)
