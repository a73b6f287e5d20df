"""The OpenAPI 3.1 document of the API, written from what its endpoints declare and answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from routescope.rest.declared import ENDPOINTS, WHOSE, WRITES, Endpoint, Parameter, Write
from routescope.rest.problems import CONTENT_TYPE, Problem

VERSION = "1.0.0"
_REF = "#/components/schemas/{name}"
_LIMIT_HEADERS = {
    "RateLimit-Limit": "Requests allowed in a minute.",
    "RateLimit-Remaining": "Requests left in this minute.",
    "RateLimit-Reset": "Seconds until the next minute begins.",
}
_PROBLEMS = {
    400: "A parameter is unknown, repeated or invalid; `errors` says which.",
    401: "The access token is missing, unknown, expired or revoked.",
    404: "It does not exist, or is not yours.",
    429: "The request limit was reached; `Retry-After` says how many seconds to wait.",
    503: "The database cannot be reached; retry after `Retry-After` seconds.",
}
_WRITTEN = {
    200: "Committed; what was rejected is listed.",
    400: "Nothing could be decoded.",
    401: "The ingest key is missing, unknown or revoked.",
    413: "Too large for one request.",
    415: "An unknown Content-Encoding.",
    422: "The report was refused.",
    503: "The database cannot be reached; send the same request again.",
}


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document, for everybody: it tells nothing about anybody's records."""
    response = HttpResponse(msgspec.json.encode(document()), content_type="application/json")
    etag = f'"{hash_of()}"'
    response["ETag"] = etag
    response["Cache-Control"] = "public, max-age=300"
    found = get_conditional_response(request, etag=etag, response=response)
    return response if found is None else found


def _schemas(types: Sequence[Any]) -> dict[str, Any]:
    """Return the types' schemas by what they are of: a `RecordBody` is a record."""
    _, named = msgspec.json.schema_components(types, ref_template=_REF)
    return {_of_what(name): _renamed(one) for name, one in named.items()}


def _renamed(schema: Any) -> Any:
    """Return a schema in which it and what it refers to are called so."""
    if isinstance(schema, list):
        return [_renamed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _of_what(one) if key in ("$ref", "title") and isinstance(one, str) else _renamed(one)
        for key, one in schema.items()
    }


def _of_what(body: str) -> str:
    return body.removesuffix("Body")


@cache
def document() -> dict[str, Any]:
    """Return the document. Endpoints are declared as their modules are imported, with the URLs."""
    types = [*(endpoint.answer for endpoint in ENDPOINTS.values()), Problem]
    schemas = _schemas(types)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS.values():
        paths.setdefault(endpoint.path, {})["get"] = _read(endpoint)
    for write in WRITES.values():
        paths.setdefault(write.path, {})[write.method] = _write(write)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Routescope",
            "version": VERSION,
            "description": (
                "Your own usage records and tasks, under the same filters and with the same figures as the "
                "console. Times are RFC 3339 in UTC, money is US dollars as decimal strings."
            ),
        },
        "servers": [{"url": settings.BASE_URL}],
        "security": [{"accessToken": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "accessToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A personal access token (rsp_…). It is read-only.",
                },
                "ingestKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A gateway's ingest key (rsk_…). It is write-only.",
                },
            },
        },
    }


def hash_of() -> str:
    """Return what changes when the document does."""
    return blake2b(msgspec.json.encode(document()), digest_size=12).hexdigest()


def _read(endpoint: Endpoint) -> dict[str, Any]:
    can_miss = endpoint.can_miss or WHOSE in endpoint.parameters
    statuses = [400, 401, *([404] if can_miss else []), 429, 503]
    return {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "description": endpoint.description,
        "tags": [endpoint.tag],
        "parameters": [_parameter(one) for one in endpoint.parameters],
        "responses": {
            "200": {
                "description": "The answer.",
                "headers": {**_headers(), "ETag": _header("Send it back as If-None-Match.", "string")},
                "content": {"application/json": {"schema": _ref(endpoint.answer)}},
            },
            "304": {"description": "What `If-None-Match` names is still the answer."},
            **{str(status): _problem(status) for status in statuses},
        },
    }


def _write(write: Write) -> dict[str, Any]:
    return {
        "operationId": write.name,
        "summary": write.summary,
        "description": write.description,
        "tags": [write.tag],
        "security": [{"ingestKey": []}],
        "parameters": [_parameter(one) for one in write.parameters],
        "requestBody": {"required": True, "content": {"application/json": {"schema": write.body}}},
        "responses": {
            **{
                str(status): {
                    "description": meaning,
                    "content": {"application/json": {"schema": {"type": "object"}}},
                }
                for status, meaning in _WRITTEN.items()
            },
            # A path that cannot be one, with a line break in it.
            **({"404": _problem(404)} if any(one.is_path for one in write.parameters) else {}),
        },
    }


def _parameter(one: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = dict(one.kind.schema)
    if one.many:
        schema = {"type": "array", "items": schema, "maxItems": 100}
    return {
        "name": one.name,
        "in": "path" if one.is_path else "query",
        "required": one.is_path,
        "description": one.description,
        "schema": schema,
        **({"style": "form", "explode": True} if one.many else {}),
    }


def _problem(status: int) -> dict[str, Any]:
    headers = {} if status in (401, 503) else _headers()
    if status in (429, 503):
        headers["Retry-After"] = _header("Seconds to wait.", "integer")
    return {
        "description": _PROBLEMS[status],
        "headers": headers,
        "content": {CONTENT_TYPE: {"schema": _ref(Problem)}},
    }


def _headers() -> dict[str, Any]:
    return {name: _header(meaning, "integer") for name, meaning in _LIMIT_HEADERS.items()}


def _header(meaning: str, kind: str) -> dict[str, Any]:
    return {"description": meaning, "schema": {"type": kind}}


def _ref(body: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REF.format(name=_of_what(body.__name__))}
