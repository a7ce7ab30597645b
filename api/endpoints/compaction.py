"""How is a long conversation replaced by a shorter one that the caller can continue from?

A turn writes a summary. The answer has the user's latest messages as they were, then a `compaction` item with the text
of the summary; the caller sends both as input of the next request. The text is the caller's own and no secret:
`encrypted_content` is compressed, not encrypted.
"""

from collections.abc import Iterable, Sequence
from copy import replace
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.errors import json_answer
from api.parsing.compaction_input import described_items
from api.parsing.field_rules import ignored_header
from api.parsing.input_items import SUMMARY_HEADING
from api.parsing.responses_request import TurnRequest, request_from_openai, require_input
from api.rendering.response import Json, openai_from_item, openai_from_usage
from api.turns.deliveries import hash_of
from api.turns.turn_gateway import TurnGateway
from domain.content.items import Item, ItemKind, Role
from domain.content.packed_text import content_of
from domain.errors import Invalid, Unavailable
from domain.log.events import ResponseStatus, TokenUsage
from domain.log.transcript import Transcript, kept_items
from domain.turns import response as domain_turns
from state.turns.responses import TurnStore

REQUEST = (
    "Sum up the conversation so far, so that it can go on from your summary alone: what was asked, what was found and "
    "decided, names and numbers as they were said, and what is still open. Answer with the summary and nothing else."
)

UNUSED_FIELDS = ("stream", "background", "conversation", "tools", "tool_choice", "text")
"""The fields of a response that a compaction does not use."""

KEPT_CHARACTERS = 80_000
"""The user's latest messages are kept up to this size together, some 20,000 tokens; the summary covers the others."""

TIMED_OUT = "The request timed out while the summary was being generated. Retry the same request to continue."


class Compaction:
    """The HTTP function that compacts. `client` is the durable client of the invocation."""

    def __init__(self, *, gateway: TurnGateway, turns: TurnStore) -> None:
        self.gateway = gateway
        self.turns = turns

    async def compact(self, req: Request, client: Any) -> Response:
        """`POST /v1/responses/compact`"""
        owner, (turn_request, body_hash) = await self.gateway.read(req, read_request)
        turn = await self.gateway.admit(req, owner, turn_request, body_hash=body_hash, client=client)
        headers = ignored_header(turn_request.ignored)
        del turn_request
        log = await self.gateway.wait_until_ended(turn)
        if log.ending is None:
            raise Unavailable(TIMED_OUT)
        if log.status not in (ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE):
            raise Unavailable(f"The summary could not be generated: {log.ending.message or 'the turn failed'}.")
        messages = kept_messages(await self.turns.history(turn))
        return json_answer(compacted(turn, log, messages), headers=headers)


def read_request(body: dict[str, Any]) -> tuple[TurnRequest, str]:
    """Return the turn that writes the summary, and a hash that differs from that of a response with the same body."""
    return compaction_request(body), hash_of({"compact": body})


def compaction_request(body: dict[str, Any]) -> TurnRequest:
    """Return the turn that writes the summary; raises Invalid."""
    if not body.get("model"):
        message = "Missing required parameter: 'model'."
        raise Invalid(message, field="model", code="missing_required_parameter")
    used = {name: value for name, value in body.items() if name not in UNUSED_FIELDS}
    request = request_from_openai(described_items(used))
    require_input(request)
    instruction = Item(id="", role=Role.USER, text=REQUEST)
    return replace(request, input_items=(*request.input_items, instruction), store=False, pairs_calls=False)


def kept_messages(history: Sequence[Item]) -> Sequence[Item]:
    """Return the user's latest messages that fit, oldest first, without the request for the summary."""
    kept: list[Item] = []
    room = KEPT_CHARACTERS
    for item in reversed(list(users_own(history))):
        room -= len(item.text) + sum(len(image.url) for image in item.images)
        if room < 0:
            break
        kept.insert(0, item)
    return kept


def users_own(history: Iterable[Item]) -> Iterable[Item]:
    """Return the messages that the user wrote; an earlier summary is part of the new one."""
    for item in history:
        is_message = item.kind is ItemKind.MESSAGE and item.role is Role.USER
        if is_message and item.text != REQUEST and not item.text.startswith(SUMMARY_HEADING):
            yield item


def compacted(turn: domain_turns.Response, log: Transcript, messages: Sequence[Item]) -> Json:
    summary = "".join(item.text for item in kept_items(log) if item.kind is ItemKind.MESSAGE)
    usage = log.ending.usage if log.ending else None
    item = {"id": turn.id.replace("resp_", "cmp_"), "type": "compaction", "encrypted_content": content_of(summary)}
    return {
        "id": turn.id,
        "object": "response.compaction",
        "created_at": int(turn.created_at),
        "output": [*map(openai_from_item, messages), item],
        "usage": openai_from_usage(usage or TokenUsage()),
    }
