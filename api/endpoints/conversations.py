"""How are conversations and their items created, read, changed and deleted over HTTP?"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.pagination import continued_list, list_object, read_newest_first, read_page_request, unknown_cursor
from api.http.request_body import BodyReader
from api.http.validation import validated
from api.parsing.conversation_request import ITEMS_PER_REQUEST, MetadataChange, NewConversation, NewItems
from api.parsing.input_items import InputItem, read_items
from api.rendering.response import Json, openai_from_item
from api.turns.admission import Admission
from api.uploads.inputs import FileInputs
from clients.orchestrations import OpenOrchestrations, signal_deleted
from domain.errors import NotFound
from domain.identity.owners import Owner
from domain.turns.conversations import Conversation
from state.retention.deletion import Retention
from state.turns.conversations import ConversationStore


class ConversationFunctions:
    """The HTTP functions of conversations. `client` is the durable client of the invocation."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        admission: Admission,
        conversations: ConversationStore,
        retention: Retention,
        open_orchestrations: OpenOrchestrations,
        bodies: BodyReader,
        files: FileInputs,
    ) -> None:
        self.authenticator = authenticator
        self.admission = admission
        self.conversations = conversations
        self.retention = retention
        self.open_orchestrations = open_orchestrations
        self.bodies = bodies
        self.files = files

    async def create(self, req: Request) -> Response:
        """`POST /v1/conversations`"""
        owner, (metadata, inputs) = await self.read(req, read_new_conversation, empty=True)
        items = await self.admission.plans.input.resolve(owner, inputs)
        created = await self.conversations.create(owner, metadata=metadata, items=items)
        return json_answer(openai_from_conversation(created))

    async def list(self, req: Request) -> Response:
        """`GET /v1/conversations`, newest first"""
        owner = await owner_of(req, self.authenticator)
        wanted = read_newest_first(req)
        try:
            page = await self.conversations.page(owner, after=wanted.after, limit=wanted.limit)
        except NotFound:
            raise unknown_cursor(wanted.after) from None
        return json_answer(
            continued_list([openai_from_conversation(each) for each in page.found], more=page.more, last=page.last)
        )

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/conversations/{conversation_id}`"""
        owner = await owner_of(req, self.authenticator)
        return json_answer(openai_from_conversation(await self.conversations.read(owner, conversation_id(req))))

    async def change(self, req: Request) -> Response:
        """`POST /v1/conversations/{conversation_id}`"""
        owner = await self.payer(req)
        body = await self.bodies.read(req, partial(validated, MetadataChange))
        changed = await self.conversations.update_metadata(owner, conversation_id(req), metadata=body.metadata or {})
        return json_answer(openai_from_conversation(changed))

    async def delete(self, req: Request, client: Any) -> Response:
        """`DELETE /v1/conversations/{conversation_id}`: its items and responses are deleted too."""
        owner = await owner_of(req, self.authenticator)
        for cancelled in await self.retention.delete_conversation(owner, conversation_id(req)):
            await signal_deleted(self.open_orchestrations(client), cancelled, cancelled.progress.followers)
        return json_answer({"id": conversation_id(req), "object": "conversation.deleted", "deleted": True})

    async def list_items(self, req: Request) -> Response:
        """`GET /v1/conversations/{conversation_id}/items`"""
        owner = await owner_of(req, self.authenticator)
        wanted = read_page_request(req)
        page = await self.conversations.items(
            owner, conversation_id(req), after=wanted.after, limit=wanted.limit, order=wanted.order
        )
        return json_answer(list_object([openai_from_item(item) for item in page.items], more=page.more))

    async def add_items(self, req: Request) -> Response:
        """`POST /v1/conversations/{conversation_id}/items`"""
        owner, inputs = await self.read(req, read_new_items)
        items = await self.admission.plans.input.resolve(owner, inputs)
        added = await self.conversations.add(owner, conversation_id(req), items)
        return json_answer(list_object([openai_from_item(item) for item in added], more=False))

    async def retrieve_item(self, req: Request) -> Response:
        """`GET /v1/conversations/{conversation_id}/items/{item_id}`"""
        owner = await owner_of(req, self.authenticator)
        found = await self.conversations.item(owner, conversation_id(req), req.path_params["item_id"])
        return json_answer(openai_from_item(found))

    async def delete_item(self, req: Request) -> Response:
        """`DELETE /v1/conversations/{conversation_id}/items/{item_id}`"""
        owner = await owner_of(req, self.authenticator)
        remaining = await self.conversations.delete_item(owner, conversation_id(req), req.path_params["item_id"])
        return json_answer(openai_from_conversation(remaining))

    async def read[T](
        self, request: Request, parse: Callable[[dict[str, Any]], T], *, empty: bool = False
    ) -> tuple[Owner, T]:
        """Return the caller, who pays a token for the request, and what `parse` makes of the body with items."""
        owner = await self.payer(request)
        complete = partial(self.files.inlined, owner)
        return owner, await self.bodies.read_input(request, parse, complete=complete, empty=empty)

    async def payer(self, request: Request) -> Owner:
        """Return the caller, who pays a token for the request; raises RateLimited."""
        owner = await owner_of(request, self.authenticator)
        await self.admission.limits.take(owner)
        return owner


def read_new_conversation(body: dict[str, Any]) -> tuple[Mapping[str, str], tuple[InputItem, ...]]:
    """Return the metadata and the items of a new conversation."""
    new = validated(NewConversation, body)
    return new.metadata or {}, read_items(new.items, "items", most=ITEMS_PER_REQUEST) if new.items else ()


def read_new_items(body: dict[str, Any]) -> tuple[InputItem, ...]:
    return read_items(validated(NewItems, body).items, "items", most=ITEMS_PER_REQUEST)


def conversation_id(request: Request) -> str:
    return cast("str", request.path_params["conversation_id"])


def openai_from_conversation(conversation: Conversation) -> Json:
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": int(conversation.created_at),
        "metadata": dict(conversation.metadata),
    }
