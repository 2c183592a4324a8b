"""Everything but pictures: health, what the model is, metrics, the page and the API's description."""

from functools import cache
from pathlib import Path

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

import imgrec
from imgrec.serving import metrics, openapi, protocol_v2
from imgrec.serving.front import Front
from imgrec.serving.source import Version
from imgrec.serving.status import Status
from imgrec.serving.trial import routes as trials

HERE = Path(__file__).parent / "page"
PAGE = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/dashboard": ("dashboard.html", "text/html"),
    "/dashboard.css": ("dashboard.css", "text/css"),
    "/dashboard.js": ("dashboard.js", "text/javascript"),
}
"""Path of a request to a file of ours and its type; no file is looked up by what a request says."""
SAFE = {
    # Nothing from elsewhere, and nothing that is written into the page: the page asks this server alone.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


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
            Route("/feedback", trials.feedback, methods=["POST"]),
            Route("/ab", trials.verdicts),
            Route("/status", _status),
            Route("/drift/restart", _restart, methods=["POST"]),
            Route("/docs", _docs),
            Route("/openapi.json", _openapi),
            *(Route(path, _page) for path in PAGE),
            Route("/predict", _picture, methods=["POST"]),
            Route("/explain", _picture, methods=["POST"]),
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
    source, name = _front(request).source, request.path_params["name"]
    version = request.path_params.get("version")
    whole = source.current if version is None and source.knows(name) else None
    found = whole or source.named(name, version or "")
    if found is None:
        raise HTTPException(404)
    return found


async def _model_ready(request: Request) -> Response:
    version = _found(request)
    return JSONResponse(
        {"name": version.facts.name, "ready": version.pool.ready}, 200 if version.pool.ready else 503
    )


async def _model(request: Request) -> Response:
    found, source = _found(request), _front(request).source
    facts = found.facts
    held = [found] if "version" in request.path_params else source.versions()
    versions = [each.facts.version for each in held]
    described = protocol_v2.metadata(facts.name, versions, facts.platform, facts.shape, facts.outputs)
    stored = {source.role(each): each.called for each in held if each.called}
    return JSONResponse(
        {**described, "task": facts.task, "labels": facts.labels} | ({"store": stored} if stored else {})
    )


async def _metrics(request: Request) -> Response:
    return Response(_front(request).metrics.text(), media_type=metrics.CONTENT_TYPE)


def _state(request: Request) -> Status:
    status: Status | None = getattr(request.app.state, "status", None)
    if status is None:  # the application runs in another server, which samples nothing
        raise HTTPException(404)
    return status


async def _status(request: Request) -> Response:
    try:
        since = float(request.query_params.get("since", 0))
    except ValueError:
        return JSONResponse({"error": "since: expected seconds since 1970"}, 400)
    return JSONResponse(_state(request).record(request.query_params.get("span", "hour"), since))


async def _restart(request: Request) -> Response:
    # A type that no page of another site can send here without asking first, which nobody answers.
    if request.headers.get("content-type", "") != "application/json":
        return JSONResponse({"error": "Content-Type: expected application/json; the body is not read"}, 415)
    count = _state(request).watch.restart(request.query_params.get("version", ""))
    return JSONResponse({"restarted": count})


@cache
def _file(name: str) -> bytes:
    return (HERE / name).read_bytes()


async def _page(request: Request) -> Response:
    name, kind = PAGE[request.url.path]
    return Response(_file(name), media_type=kind, headers=SAFE)


@cache
def _described() -> str:
    template = jinja2.Environment(autoescape=True, undefined=jinja2.ChainableUndefined).from_string(
        _file("docs.html.j2").decode()
    )
    return template.render(api=openapi.document())


async def _docs(request: Request) -> Response:
    return HTMLResponse(_described(), headers=SAFE)


async def _openapi(request: Request) -> Response:
    return JSONResponse(openapi.document(), headers=SAFE)
