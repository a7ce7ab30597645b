"""How is the API described as an OpenAPI document? It is generated from the table of routes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.errors import json_answer
from api.openapi_operations import BYTES, OPERATIONS, OPTIONAL_BODIES, OpenApiOperation
from api.openapi_schemas import ERROR, reference, schemas

type Json = dict[str, Any]

VERSION = "3.1.0"
DESCRIPTION = (
    "Durable responses, conversations and chat completions over a fleet of models. Every path under /v1 is also served "
    "under /openai/v1 and /openai, and chat completions under /openai/deployments/{model} and /v1/deployments/{model}."
)
PARAMETER = re.compile(r"\{(\w+)\}")

ERRORS: Mapping[str, str] = {
    "400": "The request is invalid; param names the field",
    "401": "The access token is missing or invalid",
    "403": "The token lacks the required scope or role",
    "404": "The caller has no such object",
    "409": "A conflicting operation is in progress, or the idempotency key was used with another body",
    "413": "The request body is too large",
    "415": "The request body has an unknown content coding",
    "429": "Too many turns, or a budget is exhausted",
    "500": "Server error",
    "503": "A dependency is unavailable; retry the request",
}


class DocumentedRoute(Protocol):
    """The properties of a route that the document describes."""

    @property
    def name(self) -> str: ...

    @property
    def template(self) -> str: ...

    @property
    def methods(self) -> tuple[str, ...]: ...


class OpenApi:
    """The HTTP function that returns the document."""

    def __init__(self, routes: Sequence[DocumentedRoute]) -> None:
        self.routes = routes

    async def retrieve(self, req: Request) -> Response:  # noqa: ARG002 - every HTTP function takes its request
        """`GET /openapi.json`"""
        return json_answer(document(self.routes))


def document(routes: Sequence[DocumentedRoute]) -> Json:
    paths: dict[str, Json] = {}
    for route in routes:
        operations = paths.setdefault(f"/{route.template}", {})
        described = [method for method in route.methods if method != "HEAD"]
        for method in described:
            own = route.name if len(described) == 1 else f"{route.name}_{method.lower()}"
            operations[method.lower()] = {"operationId": own, **operation_of(route)}
    return {
        "openapi": VERSION,
        "info": {
            "title": "Ganglion",
            "version": "1",
            "description": DESCRIPTION,
        },
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": dict(schemas()),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def operation_of(route: DocumentedRoute) -> Json:
    operation = OPERATIONS[route.name]
    names = PARAMETER.findall(route.template)
    described: Json = {
        "summary": operation.summary,
        "parameters": [
            *(
                parameter(name, "path", {"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$"})
                for name in names
            ),
            *(parameter(name, "query", operation.parameter_schema(name)) for name in operation.query),
        ],
        "responses": responses_of(operation),
    }
    if operation.body:
        described["requestBody"] = {
            "required": operation.body not in OPTIONAL_BODIES,
            "content": content(operation.body),
        }
    if operation.form:
        described["requestBody"] = {"required": True, "content": content(operation.form, kind="multipart/form-data")}
    return described | ({"security": []} if operation.public else {})


def parameter(name: str, place: str, schema: Json) -> Json:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def responses_of(operation: OpenApiOperation) -> Json:
    success: Json = {"description": "Success", **({"content": content(operation.result)} if operation.result else {})}
    if operation.streams:
        success["content"] |= {"text/event-stream": {}}
    if operation.tabulates:
        success["content"] |= {"text/csv": {}}
    errors = {status: {"description": text, "content": content(ERROR)} for status, text in ERRORS.items()}
    succeeds = {str(status): success for status in operation.statuses}
    if operation.public:
        refused = {"400": errors["400"]} if operation.refuses else {}
        unready = {"description": "Not ready", "content": content("Object")}
        return {**succeeds, **refused, "500": errors["500"], "503": unready}
    return {**succeeds, **errors}


def content(name: str, *, kind: str = "application/json") -> Json:
    if name == BYTES:
        return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {kind: {"schema": reference(name)}}
