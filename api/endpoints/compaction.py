"""How is a long conversation replaced by a summary that the caller can continue from?

A turn writes the summary. Its text is returned in a `compaction` item, which the caller sends as input of the next
request. The text is the caller's own and no secret: `encrypted_content` is compressed, not encrypted.
"""

from dataclasses import replace
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.errors import json_answer
from api.parsing.field_rules import ignored_header
from api.parsing.input_items import compressed
from api.parsing.responses_request import TurnRequest, request_from_openai
from api.rendering.response import Json, openai_from_usage
from api.turns.turn_gateway import TurnGateway
from domain.content.items import Item, Role
from domain.errors import Invalid, Unavailable
from domain.log.events import ResponseStatus, TokenUsage
from domain.log.transcript import Transcript, kept_items
from domain.turns import response as domain_turns

REQUEST = (
    "Sum up the conversation so far, so that it can go on from your summary alone: what was asked, what was found and "
    "decided, names and numbers as they were said, and what is still open. Answer with the summary and nothing else."
)

UNUSED_FIELDS = ("stream", "background", "conversation", "tools", "tool_choice", "text")
"""The fields of a response that a compaction does not use."""

TIMED_OUT = "The request timed out while the summary was being generated. Retry the same request to continue."


class Compaction:
    """The HTTP function that compacts. `client` is the durable client of the invocation."""

    def __init__(self, *, gateway: TurnGateway) -> None:
        self.gateway = gateway

    async def compact(self, req: Request, client: Any) -> Response:
        """`POST /v1/responses/compact`"""
        owner, body = await self.gateway.read_request(req)
        turn_request = compaction_request(body)
        turn = await self.gateway.admit(req, owner, turn_request, content={"compact": body}, client=client)
        log = await self.gateway.wait_until_ended(turn)
        if log.ending is None:
            raise Unavailable(TIMED_OUT)
        if log.status not in (ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE):
            raise Unavailable(f"The summary could not be generated: {log.ending.message or 'the turn failed'}.")
        return json_answer(compacted(turn, log), headers=ignored_header(turn_request.ignored))


def compaction_request(body: dict[str, Any]) -> TurnRequest:
    """Return the turn that writes the summary; raises Invalid."""
    if not body.get("model"):
        message = "Missing required parameter: 'model'."
        raise Invalid(message, field="model", code="missing_required_parameter")
    request = request_from_openai({name: value for name, value in body.items() if name not in UNUSED_FIELDS})
    instruction = Item(id="", role=Role.USER, text=REQUEST)
    return replace(request, input_items=(*request.input_items, instruction), store=False)


def compacted(turn: domain_turns.Response, log: Transcript) -> Json:
    summary = "".join(item.text for item in kept_items(log))
    usage = log.ending.usage if log.ending else None
    item = {"id": turn.id.replace("resp_", "cmp_"), "type": "compaction", "encrypted_content": compressed(summary)}
    return {
        "id": turn.id,
        "object": "response.compaction",
        "created_at": int(turn.created_at),
        "output": [item],
        "usage": openai_from_usage(usage or TokenUsage()),
    }
