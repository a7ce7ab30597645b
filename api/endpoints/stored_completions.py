"""How are chat completions that were stored listed, read, changed and deleted?"""

from collections.abc import Mapping
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.json_body import read_body, read_object
from api.http.pagination import PageRequest, list_object, page_of, read_page_request
from api.http.validation import validated
from api.parsing.conversation_request import ChangedMetadata
from api.rendering.chat import PREFIX, chat_from_response, chat_id, response_id_of
from api.rendering.response import Json
from clients.orchestrations import OpenOrchestrations
from domain.content.items import Item, ItemKind
from domain.errors import NotFound
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.turns import response as domain_turns
from state.retention.deletion import Retention
from state.turns.responses import TurnStore
from state.turns.stored_completions import StoredCompletions

type Turn = domain_turns.Response

SHOWN = (ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE)

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
        body_limit: int,
    ) -> None:
        self.authenticator = authenticator
        self.chats = chats
        self.turns = turns
        self.retention = retention
        self.open_orchestrations = open_orchestrations
        self.body_limit = body_limit

    async def list(self, req: Request) -> Response:
        """`GET /v1/chat/completions`"""
        owner = await owner_of(req, self.authenticator)
        wanted = read_page_request(req, usual_order="asc")
        names, _ = page_of(await self.chats.names(owner), whole(wanted), str)
        found: list[Json] = []
        async for turn in self.chats.turns_of(owner, names):
            if turn.status in SHOWN and fits(turn, req):
                found.append(await self.shown(turn))
            if len(found) > wanted.limit:
                break
        return json_answer(list_object(found[: wanted.limit], more=len(found) > wanted.limit))

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/chat/completions/{completion_id}`"""
        owner = await owner_of(req, self.authenticator)
        return json_answer(await self.shown(await self.turn(owner, req)))

    async def change(self, req: Request) -> Response:
        """`POST /v1/chat/completions/{completion_id}`"""
        owner = await owner_of(req, self.authenticator)
        given = validated(ChangedMetadata, read_object(await read_body(req, limit=self.body_limit)))
        turn = await self.turn(owner, req)
        return json_answer(await self.shown(await self.chats.change(owner, turn.id, metadata=given.metadata or {})))

    async def delete(self, req: Request, client: Any) -> Response:
        """`DELETE /v1/chat/completions/{completion_id}`"""
        owner = await owner_of(req, self.authenticator)
        turn = await self.turn(owner, req)
        ended = await self.retention.delete_response(owner, turn.id)
        await self.chats.forget(turn)
        if ended.status is ResponseStatus.CANCELLED:
            await self.open_orchestrations(client).signal_cancelled(ended.id)
        return json_answer({"id": chat_id(turn), "object": "chat.completion.deleted", "deleted": True})

    async def messages(self, req: Request) -> Response:
        """`GET /v1/chat/completions/{completion_id}/messages`"""
        owner = await owner_of(req, self.authenticator)
        wanted = read_page_request(req, usual_order="asc")
        turn = await self.turn(owner, req)
        names, more = page_of(turn.input_items, wanted, str)
        found = await self.turns.items(owner, tuple(names))
        return json_answer(list_object([stored_message(item) for item in found], more=more))

    async def turn(self, owner: Owner, request: Request) -> Turn:
        """Return the turn that a request's id names; raises NotFound in the words of chats."""
        identifier = str(request.path_params["completion_id"])
        try:
            if identifier.startswith(PREFIX):
                return await self.chats.read(owner, response_id_of(identifier))
        except NotFound:
            pass
        raise NotFound(f"Chat completion with id '{identifier}' not found.")

    async def shown(self, turn: Turn) -> Json:
        return chat_from_response(turn, await self.turns.transcript(turn.owner, turn.id))


def whole(wanted: PageRequest) -> PageRequest:
    """Return the same wish without its limit, which counts what is shown; the cursor is a chat's id."""
    return PageRequest(limit=10**6, after=response_id_of(wanted.after) if wanted.after else "", order=wanted.order)


def fits(turn: Turn, request: Request) -> bool:
    """Tell whether a turn is of the model and has the metadata that a list is asked for."""
    given = request.query_params
    marks = {name[9:-1]: value for name, value in given.items() if name.startswith("metadata[")}
    return given.get("model", turn.model) == turn.model and marks.items() <= dict(turn.metadata).items()


def stored_message(item: Item) -> Json:
    role = ROLES.get(item.kind) or item.role.value
    shown: Json = {"id": item.id, "role": role, "content": item.text, "refusal": None, "content_parts": None}
    if item.kind is ItemKind.FUNCTION_OUTPUT:
        shown["tool_call_id"] = item.call_id
    if item.kind is ItemKind.FUNCTION_CALL:
        function = {"name": item.name, "arguments": item.text}
        shown |= {"content": None, "tool_calls": [{"id": item.call_id, "type": "function", "function": function}]}
    return shown
