"""How are stored chat completions listed, read, changed and deleted?"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.pagination import PageRequest, list_object, page_of, read_page_request
from api.http.request_body import BodyReader
from api.http.validation import validated
from api.parsing.conversation_request import MetadataChange
from api.rendering.chat import PREFIX, chat_from_response, chat_id, response_id_of
from api.rendering.response import Json
from clients.orchestrations import OpenOrchestrations, signal_deleted
from domain.content.items import Item, ItemKind
from domain.errors import NotFound
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.turns import response as domain_turns
from state.rate_limits import RateLimiter
from state.retention.deletion import Retention
from state.turns.responses import TurnStore
from state.turns.stored_completions import StoredCompletions

type Turn = domain_turns.Response

LISTED = (ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE)

ROLES: Mapping[ItemKind, str] = {ItemKind.FUNCTION_OUTPUT: "tool", ItemKind.FUNCTION_CALL: "assistant"}


class StoredCompletionFunctions:
    """The HTTP functions of stored chat completions. `client` is the durable client of the invocation."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        chats: StoredCompletions,
        turns: TurnStore,
        retention: Retention,
        open_orchestrations: OpenOrchestrations,
        bodies: BodyReader,
        limits: RateLimiter,
    ) -> None:
        self.authenticator = authenticator
        self.chats = chats
        self.turns = turns
        self.retention = retention
        self.open_orchestrations = open_orchestrations
        self.bodies = bodies
        self.limits = limits

    async def list(self, req: Request) -> Response:
        """`GET /v1/chat/completions`"""
        owner = await owner_of(req, self.authenticator)
        page = read_page_request(req, default_order="asc")
        names, _ = page_of(await self.chats.response_ids(owner), without_limit(page), str)
        found: list[Json] = []
        async for turn in self.chats.responses(owner, names):
            if turn.status in LISTED and matches(turn, req):
                found.append(await self.completion(turn))
            if len(found) > page.limit:
                break
        return json_answer(list_object(found[: page.limit], more=len(found) > page.limit))

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/chat/completions/{completion_id}`"""
        owner = await owner_of(req, self.authenticator)
        return json_answer(await self.completion(await self.turn(owner, req)))

    async def change(self, req: Request) -> Response:
        """`POST /v1/chat/completions/{completion_id}`"""
        owner = await owner_of(req, self.authenticator)
        await self.limits.take(owner)
        body = await self.bodies.read(req, partial(validated, MetadataChange))
        turn = await self.turn(owner, req)
        changed = await self.chats.update_metadata(owner, turn.id, metadata=body.metadata or {})
        return json_answer(await self.completion(changed))

    async def delete(self, req: Request, client: Any) -> Response:
        """`DELETE /v1/chat/completions/{completion_id}`"""
        owner = await owner_of(req, self.authenticator)
        turn = await self.turn(owner, req)
        ended = await self.retention.delete_response(owner, turn.id)
        await self.chats.delete(turn)
        await signal_deleted(self.open_orchestrations(client), ended, ended.progress.followers)
        return json_answer({"id": chat_id(turn), "object": "chat.completion.deleted", "deleted": True})

    async def messages(self, req: Request) -> Response:
        """`GET /v1/chat/completions/{completion_id}/messages`"""
        owner = await owner_of(req, self.authenticator)
        page = read_page_request(req, default_order="asc")
        turn = await self.turn(owner, req)
        names, more = page_of(turn.input_items, page, str)
        found = await self.turns.items(owner, tuple(names))
        return json_answer(list_object([stored_message(item) for item in found], more=more))

    async def turn(self, owner: Owner, request: Request) -> Turn:
        """Return the turn that the completion id of a request names; raises NotFound."""
        identifier = str(request.path_params["completion_id"])
        try:
            if identifier.startswith(PREFIX):
                return await self.chats.read(owner, response_id_of(identifier))
        except NotFound:
            pass
        raise NotFound.by_id("Chat completion", identifier)

    async def completion(self, turn: Turn) -> Json:
        return chat_from_response(turn, await self.turns.transcript(turn.owner, turn.id))


def without_limit(page: PageRequest) -> PageRequest:
    """Return the page request without its limit, which counts matches, and with a response id as its cursor."""
    return PageRequest(limit=10**6, after=response_id_of(page.after) if page.after else "", order=page.order)


def matches(turn: Turn, request: Request) -> bool:
    """Return whether a turn has the model and the metadata by which a request filters the list."""
    query = request.query_params
    metadata = {name[9:-1]: value for name, value in query.items() if name.startswith("metadata[")}
    return query.get("model", turn.model) == turn.model and metadata.items() <= dict(turn.options.metadata).items()


def stored_message(item: Item) -> Json:
    role = ROLES.get(item.kind) or item.role.value
    message: Json = {"id": item.id, "role": role, "content": item.text, "refusal": None, "content_parts": None}
    if item.kind is ItemKind.FUNCTION_OUTPUT:
        message["tool_call_id"] = item.call_id
    if item.kind is ItemKind.FUNCTION_CALL:
        function = {"name": item.name, "arguments": item.text}
        message |= {"content": None, "tool_calls": [{"id": item.call_id, "type": "function", "function": function}]}
    return message
