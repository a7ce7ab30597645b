"""How many input tokens does a request have, with its history?"""

from collections.abc import Mapping
from copy import replace
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import presented_token
from api.http.errors import json_answer
from api.parsing.field_rules import IGNORED, RESPONSE_FIELDS, FieldRule, FieldTreatment, ignored_header
from api.parsing.responses_request import TurnRequest, request_from_openai
from api.turns.turn_gateway import TurnGateway

COUNTED_BY = "x-ganglion-counted-by"
"""How the tokens were counted: `estimate` (from the bytes of the texts), `tokenizer` or `backend`."""

COUNTED_FOR = "x-ganglion-counted-for"
"""The model whose tokens they are; absent where they are estimated."""

COUNTED_FIELDS: Mapping[str, FieldRule] = {
    name: IGNORED if rule.treatment is FieldTreatment.REJECTED else rule for name, rule in RESPONSE_FIELDS.items()
}
"""Fields that affect only the answer are ignored here: they do not change the input."""


class InputTokens:
    """The HTTP function that counts: for the model of the request, or for the one with the largest window."""

    def __init__(self, *, gateway: TurnGateway) -> None:
        self.gateway = gateway
        self.plans = gateway.admission.plans

    async def count(self, req: Request) -> Response:
        """`POST /v1/responses/input_tokens`"""
        owner, requests = await self.gateway.read(req, read_requests)
        await self.gateway.admission.limits.take(owner)
        asked = [replace(each, assertion=presented_token(req)) for each in requests]
        counted = await self.plans.count_tokens(owner, asked)
        answer = {"object": "response.input_tokens", "input_tokens": counted.tokens}
        model = {COUNTED_FOR: counted.model} if counted.model else {}
        return json_answer(
            answer, headers=ignored_header(requests[0].ignored) | {COUNTED_BY: counted.counted_by.value, **model}
        )


def read_requests(body: dict[str, Any]) -> list[TurnRequest]:
    """Return the request, and one for the conversation that it may continue beside a previous response."""
    conversation = body.pop("conversation", None)
    request = request_from_openai(body, COUNTED_FIELDS)
    return [request] if conversation is None else [request, request_from_openai({"conversation": conversation})]
