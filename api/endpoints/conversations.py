"""How are conversations and their items created, read, changed and deleted over HTTP?"""

from typing import Any, cast

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.json_body import read_body, read_object
from api.http.pagination import list_object, read_page_request
from api.http.validation import validated
from api.parsing.conversation_request import ITEMS_PER_REQUEST, MetadataChange, NewConversation, NewItems
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
        body = validated(NewConversation, read_object(raw) if raw.strip() else {})
        items = await self.read_items(owner, body.items) if body.items else ()
        created = await self.conversations.create(owner, metadata=body.metadata or {}, items=items)
        return json_answer(openai_from_conversation(created))

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/conversations/{conversation_id}`"""
        owner = await owner_of(req, self.authenticator)
        return json_answer(openai_from_conversation(await self.conversations.read(owner, conversation_id(req))))

    async def change(self, req: Request) -> Response:
        """`POST /v1/conversations/{conversation_id}`"""
        owner = await owner_of(req, self.authenticator)
        body = validated(MetadataChange, read_object(await read_body(req, limit=self.body_limit)))
        changed = await self.conversations.update_metadata(owner, conversation_id(req), metadata=body.metadata or {})
        return json_answer(openai_from_conversation(changed))

    async def delete(self, req: Request, client: Any) -> Response:
        """`DELETE /v1/conversations/{conversation_id}`: its items and responses are deleted too."""
        owner = await owner_of(req, self.authenticator)
        cancelled = await self.retention.delete_conversation(owner, conversation_id(req))
        if cancelled:
            await self.open_orchestrations(client).signal_cancelled(cancelled)
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
        owner = await owner_of(req, self.authenticator)
        body = validated(NewItems, read_object(await read_body(req, limit=self.body_limit)))
        items = await self.read_items(owner, body.items)
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

    async def read_items(self, owner: Owner, elements: list[Any]) -> tuple[Item, ...]:
        """Read the items to add; a reference becomes a copy of its item."""
        inputs = read_items(elements, "items", most=ITEMS_PER_REQUEST)
        return tuple([await self.admission.plans.input.resolve(owner, each) for each in inputs])


def conversation_id(request: Request) -> str:
    return cast("str", request.path_params["conversation_id"])


def openai_from_conversation(conversation: Conversation) -> Json:
    return {
        "id": conversation.id,
        "object": "conversation",
        "created_at": int(conversation.created_at),
        "metadata": dict(conversation.metadata),
    }
