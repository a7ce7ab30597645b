"""How does a long conversation become a short one that can be gone on from?

A turn sums it up; its text travels in a `compaction` item, which the next request gives as input. It is the caller's
own text and no secret: what is called encrypted is only packed.
"""

from dataclasses import replace
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.errors import json_answer
from api.parsing.field_rules import ignored_header
from api.parsing.input_items import packed
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

NOT_ASKED = ("stream", "background", "conversation", "tools", "tool_choice", "text")
"""What a compaction has no use for."""


class Compaction:
    """The HTTP function that compacts. `client` is the durable client of the invocation."""

    def __init__(self, *, desk: TurnGateway) -> None:
        self.desk = desk

    async def compact(self, req: Request, client: Any) -> Response:
        """`POST /v1/responses/compact`"""
        owner, body = await self.desk.read_request(req)
        asked = compaction_request(body)
        turn = await self.desk.admit(req, owner, asked, told={"compact": body}, client=client)
        log = await self.desk.wait_until_ended(turn)
        if log.ending is None:
            raise Unavailable("The summary takes longer than a request may last; the same request again goes on.")
        if log.status not in (ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE):
            raise Unavailable(f"No summary could be made: {log.ending.message or 'the turn failed'}.")
        return json_answer(compacted(turn, log), headers=ignored_header(asked.ignored))


def compaction_request(body: dict[str, Any]) -> TurnRequest:
    """Return the turn that sums up; raises Invalid."""
    if not body.get("model"):
        message = "Missing required parameter: 'model'."
        raise Invalid(message, field="model", code="missing_required_parameter")
    asked = request_from_openai({name: value for name, value in body.items() if name not in NOT_ASKED})
    return replace(asked, input_items=(*asked.input_items, Item(id="", role=Role.USER, text=REQUEST)), store=False)


def compacted(turn: domain_turns.Response, log: Transcript) -> Json:
    summary = "".join(item.text for item in kept_items(log))
    usage = log.ending.usage if log.ending else None
    item = {"id": turn.id.replace("resp_", "cmp_"), "type": "compaction", "encrypted_content": packed(summary)}
    return {
        "id": turn.id,
        "object": "response.compaction",
        "created_at": int(turn.created_at),
        "output": [item],
        "usage": openai_from_usage(usage or TokenUsage()),
    }
