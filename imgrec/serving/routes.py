"""Everything but pictures: health, what the model is, and metrics."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import imgrec
from imgrec.serving import metrics, protocol_v2
from imgrec.serving.front import Front
from imgrec.serving.source import Version


def starlette() -> Starlette:
    """Return the routes that `App` hands on; it puts the front into their state."""
    model = "/v2/models/{name}"
    version = model + "/versions/{version}"
    return Starlette(
        routes=[
            Route("/v2", _server),
            Route("/v2/health/live", _live),
            Route("/v2/health/ready", _ready),
            Route(f"{model}/ready", _model_ready),
            Route(f"{version}/ready", _model_ready),
            Route(model, _model),
            Route(version, _model),
            Route("/metrics", _metrics),
            Route("/predict", _picture, methods=["POST"]),
            Route(f"{model}/infer", _picture, methods=["POST"]),
            Route(f"{version}/infer", _picture, methods=["POST"]),
        ],
        exception_handlers={HTTPException: _refused},
    )


def _front(request: Request) -> Front:
    front: Front = request.app.state.front
    return front


def _refused(request: Request, error: Exception) -> Response:
    """Say in JSON what Starlette refuses: unknown paths and methods."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: "no such path; GET /docs lists them", 405: "another method is expected here"}
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse({"error": words.get(status, "refused")}, status, headers=headers)


async def _picture(request: Request) -> Response:
    """Stand for what `App` answers itself, so that another method than POST is refused with 405."""
    raise HTTPException(404)


async def _server(request: Request) -> Response:
    return JSONResponse(
        {"name": "imgrec", "version": imgrec.__version__, "extensions": ["binary_tensor_data"]}
    )


async def _live(request: Request) -> Response:
    return JSONResponse({"live": True})


async def _ready(request: Request) -> Response:
    front = _front(request)
    ready = front.source.current.pool.ready and not front.draining
    return JSONResponse({"ready": ready}, 200 if ready else 503)


def _found(request: Request) -> Version:
    found = _front(request).source.named(request.path_params["name"], request.path_params.get("version", ""))
    if found is None:
        raise HTTPException(404)
    return found


async def _model_ready(request: Request) -> Response:
    version = _found(request)
    return JSONResponse(
        {"name": version.facts.name, "ready": version.pool.ready}, 200 if version.pool.ready else 503
    )


async def _model(request: Request) -> Response:
    facts = _found(request).facts
    described = protocol_v2.metadata(facts.name, facts.version, facts.platform, facts.shape, facts.outputs)
    return JSONResponse({**described, "task": facts.task, "labels": facts.labels})


async def _metrics(request: Request) -> Response:
    return Response(_front(request).metrics.text(), media_type=metrics.CONTENT_TYPE)
