"""How many input tokens does a request have, with its history?"""

from collections.abc import Mapping

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.errors import json_answer
from api.parsing.field_rules import IGNORED, RESPONSE_FIELDS, FieldRule, FieldTreatment, ignored_header
from api.parsing.responses_request import request_from_openai
from api.turns.turn_gateway import TurnGateway

COUNTED_FIELDS: Mapping[str, FieldRule] = {
    name: IGNORED if rule.treatment is FieldTreatment.REJECTED else rule for name, rule in RESPONSE_FIELDS.items()
}
"""Fields that affect only the answer are ignored here: they do not change the input."""


class InputTokens:
    """The HTTP function that counts. The tokenizer depends on the backend, so the count is an estimate."""

    def __init__(self, *, gateway: TurnGateway) -> None:
        self.gateway = gateway
        self.plans = gateway.admission.plans

    async def count(self, req: Request) -> Response:
        """`POST /v1/responses/input_tokens`"""
        owner, body = await self.gateway.read_request(req)
        conversation = body.pop("conversation", None)
        request = request_from_openai(body, COUNTED_FIELDS)
        requests = [request] if conversation is None else [request, request_from_openai({"conversation": conversation})]
        tokens = await self.plans.count_tokens(owner, requests)
        answer = {"object": "response.input_tokens", "input_tokens": tokens}
        return json_answer(answer, headers=ignored_header(request.ignored))
