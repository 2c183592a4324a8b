"""`POST /feedback`, which says what was on a picture, and `GET /ab`, which version is better."""

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from imgrec.serving.bodies import json_in
from imgrec.serving.refusal import RefusedError
from imgrec.serving.trial.desk import Desk

MOST_BYTES = 4096
EXAMPLE = 'expected JSON such as {"id": "5f0c…-1", "label": "Trouser"}'


async def feedback(request: Request) -> Response:
    """Take what was right for a request that was answered before."""
    try:
        given = json_in(await _body(request), EXAMPLE)
        name, label = given.get("id"), given.get("label")
        if set(given) != {"id", "label"} or not isinstance(name, str) or not isinstance(label, str):
            raise RefusedError(400, f"body: {EXAMPLE}, and nothing else")
        return JSONResponse({"id": name, "right": _desk(request).tell(name, label)})
    except RefusedError as refusal:
        return JSONResponse({"error": str(refusal)}, refusal.status)


async def verdicts(request: Request) -> Response:
    """Say what is known of the versions that are compared."""
    return JSONResponse(_desk(request).record())


def _desk(request: Request) -> Desk:
    desk: Desk | None = getattr(request.app.state, "desk", None)
    if desk is None:  # the application runs in a server that keeps nothing
        raise HTTPException(404)
    return desk


async def _body(request: Request) -> bytes:
    """Return the body. Raises RefusedError of another type, or of one that is too large."""
    # A type that no page of another site can send here without asking first, which nobody answers.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(415, f"Content-Type: expected application/json; {EXAMPLE}")
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MOST_BYTES:
                raise RefusedError(413, f"body: more than {MOST_BYTES:,} bytes; {EXAMPLE}")
            parts.append(part)
    except ClientDisconnect:
        raise RefusedError(400, "body: not whole") from None
    return b"".join(parts)
