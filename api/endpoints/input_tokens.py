"""How many tokens would a request have for the model to read?"""

from collections.abc import Mapping

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.errors import json_answer
from api.parsing.field_rules import IGNORED, RESPONSE_FIELDS, FieldRule, FieldTreatment, ignored_header
from api.parsing.responses_request import TurnRequest, request_from_openai
from api.turns.planner import texts_of
from api.turns.turn_gateway import TurnGateway
from domain.fleet.token_estimates import tokens_in_request
from domain.identity.owners import Owner

COUNTED_FIELDS: Mapping[str, FieldRule] = {
    name: IGNORED if rule.treatment is FieldTreatment.REFUSED else rule for name, rule in RESPONSE_FIELDS.items()
}
"""What would change the answer does not change what is read."""


class InputTokens:
    """The HTTP function that counts. No tokenizer is known before a backend is chosen, so it is the expected number."""

    def __init__(self, *, desk: TurnGateway) -> None:
        self.desk = desk
        self.admission = desk.admission

    async def count(self, req: Request) -> Response:
        """`POST /v1/responses/input_tokens`"""
        owner, body = await self.desk.read_request(req)
        conversation = body.pop("conversation", None)
        asked = request_from_openai(body, COUNTED_FIELDS)
        parents = [asked] if conversation is None else [asked, request_from_openai({"conversation": conversation})]
        answer = {"object": "response.input_tokens", "input_tokens": await self.tokens(owner, parents)}
        return json_answer(answer, headers=ignored_header(asked.ignored))

    async def tokens(self, owner: Owner, several: list[TurnRequest]) -> int:
        """Return the tokens of a request that may go on from a response and from a conversation."""
        texts: list[str] = []
        for asked in several:
            past = await self.admission.pasts.of(owner, asked)
            items = await self.admission.items(owner, asked.input_items, "")
            texts += texts_of(asked, past.read_with(items, left_out=0))
        return tokens_in_request([text for text in texts if text]).expected
