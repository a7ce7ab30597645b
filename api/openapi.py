"""What is served, as an OpenAPI document? Made from the table of routes, so that it names neither more nor less."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.errors import json_answer
from api.openapi_schemas import ERROR, reference, schemas

type Json = dict[str, Any]

VERSION = "3.1.0"
PARAMETER = re.compile(r"\{(\w+)\}")

REFUSALS: Mapping[str, str] = {
    "400": "The request is wrong; param names the field",
    "401": "No token, or none that is believed",
    "403": "The token lacks the scope or role",
    "404": "No such object of the caller's",
    "409": "Something else is under way, or a key came with another body",
    "413": "The body is too large",
    "429": "Too many turns, or no cover in a budget",
    "500": "Ours to mend",
    "503": "A part did not answer; try again",
}


class Served(Protocol):
    """What the document needs of a route."""

    @property
    def name(self) -> str: ...

    @property
    def template(self) -> str: ...

    @property
    def methods(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenApiOperation:
    """What a function does: schemas by their names; `streams` says that it may answer with events."""

    summary: str
    answer: str = "Object"
    body: str | None = None
    query: tuple[str, ...] = ()
    streams: bool = False
    open: bool = False


PAGE = ("limit", "after", "order")

OPERATIONS: Mapping[str, OpenApiOperation] = {
    "http_responses_create": OpenApiOperation(
        summary="Ask for a turn", answer="Response", body="CreateResponse", streams=True
    ),
    "http_responses_retrieve": OpenApiOperation(
        summary="Read a response, or follow it", answer="Response", query=("stream", "starting_after"), streams=True
    ),
    "http_responses_cancel": OpenApiOperation(summary="Cancel a background response", answer="Response"),
    "http_responses_delete": OpenApiOperation(summary="Delete a response", answer="Deleted"),
    "http_responses_items": OpenApiOperation(summary="List what a response was given", answer="List", query=PAGE),
    "http_responses_route": OpenApiOperation(summary="Tell where a turn went, why, and what it cost"),
    "http_responses_compact": OpenApiOperation(
        summary="Sum up a conversation", answer="Compaction", body="CreateCompaction"
    ),
    "http_responses_count": OpenApiOperation(
        summary="Count the tokens of a request", answer="InputTokens", body="CountTokens"
    ),
    "http_conversations_create": OpenApiOperation(
        summary="Make a conversation", answer="Conversation", body="CreateConversation"
    ),
    "http_conversations_retrieve": OpenApiOperation(summary="Read a conversation", answer="Conversation"),
    "http_conversations_update": OpenApiOperation(
        summary="Change a conversation's metadata", answer="Conversation", body="ChangeMetadata"
    ),
    "http_conversations_delete": OpenApiOperation(summary="Delete a conversation", answer="Deleted"),
    "http_items_list": OpenApiOperation(summary="List a conversation's items", answer="List", query=PAGE),
    "http_items_create": OpenApiOperation(summary="Add items to a conversation", answer="List", body="AddItems"),
    "http_items_retrieve": OpenApiOperation(summary="Read an item", answer="Item"),
    "http_items_delete": OpenApiOperation(summary="Delete an item", answer="Conversation"),
    "http_chat_create": OpenApiOperation(
        summary="Ask for a chat completion", answer="ChatCompletion", body="CreateChat", streams=True
    ),
    "http_chat_list": OpenApiOperation(summary="List stored chat completions", answer="List", query=PAGE),
    "http_chat_retrieve": OpenApiOperation(summary="Read a stored chat completion", answer="ChatCompletion"),
    "http_chat_update": OpenApiOperation(
        summary="Change a stored chat's metadata", answer="ChatCompletion", body="ChangeMetadata"
    ),
    "http_chat_delete": OpenApiOperation(summary="Delete a stored chat completion", answer="Deleted"),
    "http_chat_messages": OpenApiOperation(summary="List what a chat was given", answer="List", query=PAGE),
    "http_owners_delete": OpenApiOperation(summary="Forget all that an owner has said", answer="Deleted"),
    "http_usage_list": OpenApiOperation(
        summary="Tell what was used and what it cost", answer="List", query=(*PAGE, "from", "to", "group_by")
    ),
    "http_models_list": OpenApiOperation(summary="List the models", answer="Models"),
    "http_models_retrieve": OpenApiOperation(summary="Read a model", answer="Model"),
    "http_models_delete": OpenApiOperation(summary="Learn that a model can't be deleted here", answer="Deleted"),
    "http_healthz": OpenApiOperation(summary="Tell whether this instance is alive", open=True),
    "http_readyz": OpenApiOperation(summary="Tell whether it could serve a turn", open=True),
    "http_openapi": OpenApiOperation(summary="This document", open=True),
}

EMPTY = ("CreateConversation",)
"""Bodies that may be left out."""

QUERIES: Mapping[str, Json] = {
    "limit": {"type": "integer", "minimum": 0, "maximum": 100, "default": 20},
    "after": {"type": "string"},
    "order": {"type": "string", "enum": ["asc", "desc"]},
    "stream": {"type": "string", "enum": ["true", "false"]},
    "from": {"type": "string", "format": "date"},
    "to": {"type": "string", "format": "date"},
    "group_by": {"type": "string"},
    "starting_after": {"type": "integer", "minimum": 0, "maximum": 10**15 - 1},
}


class OpenApi:
    """The HTTP function that shows the document."""

    def __init__(self, served: Sequence[Served]) -> None:
        self.served = served

    async def show(self, req: Request) -> Response:  # noqa: ARG002 - every HTTP function takes its request
        """`GET /openapi.json`"""
        return json_answer(document(self.served))


def document(served: Sequence[Served]) -> Json:
    paths: dict[str, Json] = {}
    for route in served:
        shown = paths.setdefault(f"/{route.template}", {})
        for method in route.methods:
            shown[method.lower()] = operation_of(route, method)
    return {
        "openapi": VERSION,
        "info": {"title": "Ganglion", "version": "1", "description": "Turns, conversations and chats that survive."},
        "paths": paths,
        "security": [{"token": []}],
        "components": {
            "schemas": dict(schemas()),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def operation_of(route: Served, method: str) -> Json:
    told = OPERATIONS[route.name]
    names = PARAMETER.findall(route.template)
    shown: Json = {
        "operationId": route.name if len(route.methods) == 1 else f"{route.name}_{method.lower()}",
        "summary": told.summary,
        "parameters": [
            *(
                parameter(name, "path", {"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9_-]+$"})
                for name in names
            ),
            *(parameter(name, "query", QUERIES[name]) for name in told.query),
        ],
        "responses": answers(told),
    }
    if told.body:
        shown["requestBody"] = {"required": told.body not in EMPTY, "content": content(told.body)}
    return shown | ({"security": []} if told.open else {})


def parameter(name: str, place: str, schema: Json) -> Json:
    return {"name": name, "in": place, "required": place == "path", "schema": schema}


def answers(told: OpenApiOperation) -> Json:
    good: Json = {"description": "Done", "content": content(told.answer)}
    if told.streams:
        good["content"] |= {"text/event-stream": {}}
    refused = {status: {"description": text, "content": content(ERROR)} for status, text in REFUSALS.items()}
    if told.open:
        return {"200": good, "500": refused["500"], "503": {"description": "Not ready", "content": content("Object")}}
    return {"200": good, **refused}


def content(name: str) -> Json:
    return {"application/json": {"schema": reference(name)}}
