"""The API's description, OpenAPI 3.1; `/docs` shows it, a test validates it."""

from collections.abc import Mapping
from typing import Any

import imgrec

_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_TOP = {"type": "array", "items": {"$ref": "#/components/schemas/Class"}}
_FAULTS = {
    400: "The body or a header is not what it should be.",
    401: "The bearer token is missing or wrong, where the server asks for one.",
    404: "No such model or version.",
    408: "The request was not whole in time.",
    409: "Feedback for several images, or other feedback came before.",
    413: "More bytes or pixels than allowed; nothing was decoded.",
    415: "No image file of a known format, or a type of body that is not known.",
    429: "Too many requests are waiting; Retry-After says in how many seconds to send it again.",
    431: "Too many headers, or too large ones.",
    500: "A fault of the server; its log says which.",
    503: "No worker is ready, or it ended twice while it answered; send it again.",
    504: "No answer before the deadline.",
}


def document() -> dict[str, Any]:
    """Return the description; it tells nothing of the model that is served."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "imgrec: what is on a picture",
            "version": imgrec.__version__,
            "description": "A picture in, its class and how sure that is out. Beside it the Open Inference "
            "Protocol, version 2, with binary tensors, as Triton's clients speak it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {
            "/predict": {"post": _predict()},
            "/explain": {"post": _explain()},
            "/v2": {"get": _read("server", "Name and extensions of the server.")},
            "/v2/health/live": {"get": _open("live", "Whether the server runs.")},
            "/v2/health/ready": {"get": _open("ready", "Whether it can answer; not while it ends.")},
            "/v2/models/{model}": {"get": _read("model", "Inputs, outputs, labels and versions.", "model")},
            "/v2/models/{model}/ready": {"get": _read("modelReady", "Whether workers are ready.", "model")},
            "/v2/models/{model}/infer": {"post": _infer("infer", "model")},
            "/v2/models/{model}/versions/{version}": {
                "get": _read("version", "The same of a version.", "model", "version")
            },
            "/v2/models/{model}/versions/{version}/ready": {
                "get": _read("versionReady", "Whether workers are ready.", "model", "version")
            },
            "/v2/models/{model}/versions/{version}/infer": {
                "post": _infer("inferVersion", "model", "version")
            },
            "/status": {"get": _read("status", "What the dashboard shows: drift, history, versions.")},
            "/feedback": {"post": _feedback()},
            "/ab": {"get": _read("ab", "Which version is better: a canary or a shadow, or the active one.")},
            "/drift/restart": {"post": _restart()},
            "/metrics": {"get": _read("metrics", "Counts and times for Prometheus.", kind="text/plain")},
        },
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _schemas() -> dict[str, Any]:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    entry = _mapping({"label": _TEXT, "probability": share}, "label", "probability")
    model = _mapping({"name": _TEXT, "version": {**_TEXT, "description": "sha256"}}, "name", "version")
    answer = {
        "id": {**_TEXT, "description": "Of the request: X-Request-ID, or one of the server's."},
        "model": model,
        "label": {**_TEXT, "description": "The most probable class, where an image shows one."},
        "probability": share,
        "labels": {"type": "array", "items": _TEXT, "description": "Where an image shows any number."},
        "top": _TOP,
        "set": {"type": "array", "items": _TEXT, "description": "Holds the class with probability coverage."},
        "coverage": share,
        "abstained": {"type": "boolean", "description": "Whether the model is too unsure to answer."},
    }
    return {
        "Class": entry,
        "Answer": _mapping(answer, "id", "model", "top"),
        "Error": _mapping({"error": _TEXT}, "error"),
        "Infer": {
            "type": "object",
            "description": "One input, image (BYTES [N], encoded files) or pixels (UINT8 [N, H, W, C]); "
            "outputs probabilities (FP32 [N, classes]) and answer (BYTES [N], JSON as /predict's).",
        },
    }


def _mapping(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def _of(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _responses(words: str, schema: Mapping[str, Any], *statuses: int, kind: str = "application/json") -> Any:
    fault = {"application/json": {"schema": _of("Error")}}
    good = {"200": {"description": words, "content": {kind: {"schema": dict(schema)}}}}
    return good | {str(each): {"description": _FAULTS[each], "content": fault} for each in statuses}


def _read(name: str, words: str, *parameters: str, kind: str = "application/json") -> dict[str, Any]:
    schema = {"type": "object"} if kind == "application/json" else _TEXT
    return {
        "operationId": name,
        "summary": words,
        "parameters": [_parameter(each) for each in parameters],
        "responses": _responses("Found.", schema, *((401, 404) if parameters else (401,)), kind=kind),
    }


def _open(name: str, words: str) -> dict[str, Any]:
    responses = _responses("It is.", {"type": "object"})
    return {
        "operationId": name,
        "summary": words,
        "security": [{}],
        "responses": responses | {"503": {"description": "It is not."}},
    }


def _parameter(name: str) -> dict[str, Any]:
    words = {
        "model": "Its name, as /v2 clients know it.",
        "version": "Its sha256, or 8 letters of it or more, or its name in a store of versions.",
    }
    return {"name": name, "in": "path", "required": True, "schema": _TEXT, "description": words[name]}


_STICKY = "Of a client: equal keys are answered by one version, where two share the requests."


def _predict() -> dict[str, Any]:
    picture = {"description": "The bytes of a JPEG, PNG, BMP, GIF, WebP or TIFF file."}
    coded = {"image": {**_TEXT, "contentEncoding": "base64"}, "top": {"type": "integer", "minimum": 1}}
    form = _mapping({"image": {**_TEXT, "contentMediaType": "application/octet-stream"}}, "image")
    top = {"type": "integer", "minimum": 1, "default": 5}
    return {
        "operationId": "predict",
        "summary": "What is on a picture.",
        "x-example": "curl --data-binary @photo.jpg 'http://127.0.0.1:8080/predict?top=3'",
        "parameters": [
            {"name": "top", "in": "query", "schema": top, "description": "How many classes to name."},
            {"name": "X-Request-ID", "in": "header", "schema": _TEXT, "description": "Comes back as id."},
            {"name": "X-Key", "in": "header", "schema": _TEXT, "description": _STICKY},
        ],
        "requestBody": {
            "required": True,
            "content": {
                "image/*": {"schema": picture},
                "application/octet-stream": {"schema": picture},
                "multipart/form-data": {"schema": {**form, "description": "A form with one file."}},
                "application/json": {
                    "schema": {**_mapping(coded, "image"), "description": "The file in base64."}
                },
            },
        },
        "responses": _responses(
            "The answer.", _of("Answer"), 400, 401, 408, 413, 415, 429, 431, 500, 503, 504
        ),
    }


def _explain() -> dict[str, Any]:
    asked = _predict()
    png = {"type": "string", "contentMediaType": "image/png"}
    return {
        "operationId": "explain",
        "summary": "The picture, with what the answer rests on in warm colours; of Keras models.",
        "x-example": "curl --data-binary @photo.jpg http://127.0.0.1:8080/explain -o map.png",
        "requestBody": asked["requestBody"],
        "responses": _responses(
            "A PNG.", png, 400, 401, 404, 408, 413, 415, 429, 431, 500, 503, 504, kind="image/png"
        ),
    }


def _restart() -> dict[str, Any]:
    parameter = {"name": "version", "in": "query", "schema": _TEXT, "description": "One alone; else all."}
    return {
        "operationId": "restartDrift",
        "summary": "Clear alarms of drift and watch on as if nothing had come yet.",
        "x-example": "curl -X POST -H 'Content-Type: application/json' http://127.0.0.1:8080/drift/restart",
        "parameters": [parameter],
        "responses": _responses("How many versions began anew.", {"type": "object"}, 401, 415),
    }


def _feedback() -> dict[str, Any]:
    said = _mapping({"id": {**_TEXT, "description": "Of the request."}, "label": _TEXT}, "id", "label")
    told = _mapping({"id": _TEXT, "right": {"type": "boolean"}}, "id", "right")
    return {
        "operationId": "feedback",
        "summary": "Say what was on a picture that was answered: two versions are compared by it.",
        "x-example": 'curl -H \'Content-Type: application/json\' -d \'{"id": "…", "label": "Trouser"}\' '
        "http://127.0.0.1:8080/feedback",
        "requestBody": {"required": True, "content": {"application/json": {"schema": said}}},
        "responses": _responses("Whether the answer was right.", told, 400, 401, 404, 409, 413, 415),
    }


def _infer(name: str, *parameters: str) -> dict[str, Any]:
    binary = {"description": "JSON, and binary tensors behind it."}
    return {
        "operationId": name,
        "summary": "Tensors in, tensors out: the Open Inference Protocol.",
        "parameters": [
            *(_parameter(each) for each in parameters),
            {
                "name": "Inference-Header-Content-Length",
                "in": "header",
                "schema": {"type": "integer", "minimum": 0},
                "description": "Length of the JSON, where binary tensors follow it.",
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {**_of("Infer"), "description": "Tensors as lists."}},
                "application/octet-stream": {"schema": binary},
            },
        },
        "responses": _responses(
            "The outputs.", _of("Infer"), 400, 401, 404, 408, 413, 415, 429, 431, 500, 503, 504
        ),
    }
