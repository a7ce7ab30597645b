"""What was a response given to read?"""

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.pagination import list_object, page_of, read_page_request
from api.rendering.response import openai_from_item
from state.turns.responses import TurnStore


class ResponseItems:
    """The HTTP function of a response's own input; what it went on from is in the responses before it."""

    def __init__(self, *, authenticator: Authenticator, turns: TurnStore) -> None:
        self.authenticator = authenticator
        self.turns = turns

    async def list(self, req: Request) -> Response:
        """`GET /v1/responses/{response_id}/input_items`"""
        owner = await owner_of(req, self.authenticator)
        wanted = read_page_request(req)
        turn = await self.turns.read(owner, req.path_params["response_id"])
        names, more = page_of(turn.input_items, wanted, str)
        found = await self.turns.items(owner, tuple(names))
        return json_answer(list_object([openai_from_item(item) for item in found], more=more))
