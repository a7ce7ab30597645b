"""How are conversations made, read, changed, filled and deleted over HTTP?"""

from typing import Any, cast

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.json_body import read_body, read_object
from api.http.pagination import list_object, read_page_request
from api.http.validation import validated
from api.parsing.conversation_request import MOST_ITEMS, AddedItems, ChangedMetadata, NewConversation
from api.parsing.input_items import read_items
from api.rendering.response import Json, openai_from_item
from api.turns.admission import Admission
from clients.orchestrations import OpenOrchestrations
from domain.content.items import Item
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
        body_limit: int,
    ) -> None:
        self.authenticator = authenticator
        self.admission = admission
        self.conversations = conversations
        self.retention = retention
        self.open_orchestrations = open_orchestrations
        self.body_limit = body_limit

    async def create(self, req: Request) -> Response:
        """`POST /v1/conversations`"""
        owner = await owner_of(req, self.authenticator)
        raw = await read_body(req, limit=self.body_limit)
        given = validated(NewConversation, read_object(raw) if raw.strip() else {})
        items = await self.read_items(owner, given.items) if given.items else ()
        made = await self.conversations.create(owner, metadata=given.metadata or {}, items=items)
        return json_answer(openai_from_conversation(made))

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/conversations/{conversation_id}`"""
        owner = await owner_of(req, self.authenticator)
        return json_answer(openai_from_conversation(await self.conversations.read(owner, name_of(req))))

    async def change(self, req: Request) -> Response:
        """`POST /v1/conversations/{conversation_id}`"""
        owner = await owner_of(req, self.authenticator)
        given = validated(ChangedMetadata, read_object(await read_body(req, limit=self.body_limit)))
        changed = await self.conversations.change(owner, name_of(req), metadata=given.metadata or {})
        return json_answer(openai_from_conversation(changed))

    async def delete(self, req: Request, client: Any) -> Response:
        """`DELETE /v1/conversations/{conversation_id}`: with its items and responses."""
        owner = await owner_of(req, self.authenticator)
        cancelled = await self.retention.delete_conversation(owner, name_of(req))
        if cancelled:
            await self.open_orchestrations(client).signal_cancelled(cancelled)
        return json_answer({"id": name_of(req), "object": "conversation.deleted", "deleted": True})

    async def list_items(self, req: Request) -> Response:
        """`GET /v1/conversations/{conversation_id}/items`"""
        owner = await owner_of(req, self.authenticator)
        wanted = read_page_request(req)
        page = await self.conversations.items(
            owner, name_of(req), after=wanted.after, limit=wanted.limit, order=wanted.order
        )
        return json_answer(list_object([openai_from_item(item) for item in page.items], more=page.more))

    async def add_items(self, req: Request) -> Response:
        """`POST /v1/conversations/{conversation_id}/items`"""
        owner = await owner_of(req, self.authenticator)
        given = validated(AddedItems, read_object(await read_body(req, limit=self.body_limit)))
        items = await self.read_items(owner, given.items)
        added = await self.conversations.add(owner, name_of(req), items)
        return json_answer(list_object([openai_from_item(item) for item in added], more=False))

    async def retrieve_item(self, req: Request) -> Response:
        """`GET /v1/conversations/{conversation_id}/items/{item_id}`"""
        owner = await owner_of(req, self.authenticator)
        found = await self.conversations.item(owner, name_of(req), req.path_params["item_id"])
        return json_answer(openai_from_item(found))

    async def delete_item(self, req: Request) -> Response:
        """`DELETE /v1/conversations/{conversation_id}/items/{item_id}`"""
        owner = await owner_of(req, self.authenticator)
        rest = await self.conversations.delete_item(owner, name_of(req), req.path_params["item_id"])
        return json_answer(openai_from_conversation(rest))

    async def read_items(self, owner: Owner, elements: list[Any]) -> tuple[Item, ...]:
        """Read items to add; one that is referred to is copied."""
        given = read_items(elements, "items", most=MOST_ITEMS)
        return tuple([await self.admission.resolved(owner, each) for each in given])


def name_of(request: Request) -> str:
    return cast("str", request.path_params["conversation_id"])


def openai_from_conversation(conversation: Conversation) -> Json:
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": int(conversation.created_at),
        "metadata": dict(conversation.metadata),
    }
