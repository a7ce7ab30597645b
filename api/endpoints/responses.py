"""How are turns asked for, read, followed and cancelled over HTTP?"""

from functools import partial
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse

from api.http.errors import json_answer
from api.parsing.field_rules import ignored_header
from api.parsing.responses_request import request_from_openai
from api.rendering.response import openai_from_response
from api.rendering.sse_events import frames as shown_events
from api.turns.turn_gateway import TurnGateway
from domain.errors import Invalid
from domain.log.events import ResponseStatus
from domain.turns import response as domain_turns
from state.retention.deletion import Retention
from state.turns.responses import TurnStore

STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
SEQUENCE_DIGITS = 15
SWITCHES = {"true": True, "false": False}

type Turn = domain_turns.Response


class Responses:
    """The HTTP functions of responses. `client` is the durable client of the invocation."""

    def __init__(self, *, desk: TurnGateway, turns: TurnStore, retention: Retention) -> None:
        self.desk = desk
        self.turns = turns
        self.retention = retention

    async def create(self, req: Request, client: Any) -> Response:
        """`POST /v1/responses`"""
        owner, body = await self.desk.read_request(req)
        asked = request_from_openai(body)
        turn = await self.desk.admit(req, owner, asked, told=body, client=client)
        headers = ignored_header(asked.ignored)
        if asked.stream:
            return self.streamed(turn, after=-1, headers=headers)
        return json_answer(openai_from_response(turn, await self.desk.wait_until_ended(turn)), headers=headers)

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/responses/{response_id}`, and with `stream=true` its log after `starting_after`."""
        owner = await self.desk.owner(req)
        stream, after = read_stream(req), read_after(req)
        turn = await self.turns.read(owner, req.path_params["response_id"])
        if stream:
            return self.streamed(turn, after=after, headers={})
        return await self.shown(turn)

    async def cancel(self, req: Request, client: Any) -> Response:
        """`POST /v1/responses/{response_id}/cancel`"""
        owner = await self.desk.owner(req)
        turn = await self.turns.read(owner, req.path_params["response_id"])
        if not turn.background:
            raise Invalid("Cannot cancel a synchronous response.", field="response_id", code="not_cancellable")
        ended = await self.turns.finish(owner, turn.id, status=ResponseStatus.CANCELLED)
        if ended.status is not ResponseStatus.CANCELLED:
            message = f"Cannot cancel a response that is {ended.status.value}."
            raise Invalid(message, field="response_id", code="not_cancellable")
        await self.desk.open_orchestrations(client).signal_cancelled(turn.id)
        return await self.shown(ended)

    async def delete(self, req: Request, client: Any) -> Response:
        """`DELETE /v1/responses/{response_id}`: what still runs is cancelled first."""
        owner = await self.desk.owner(req)
        ended = await self.retention.delete_response(owner, req.path_params["response_id"])
        if ended.status is ResponseStatus.CANCELLED:
            await self.desk.open_orchestrations(client).signal_cancelled(ended.id)
        return json_answer({"id": ended.id, "object": "response", "deleted": True})

    async def shown(self, turn: Turn) -> Response:
        log = await self.turns.transcript(turn.owner, turn.id)
        return json_answer(openai_from_response(turn, log))

    def streamed(self, turn: Turn, *, after: int, headers: dict[str, str]) -> Response:
        frames = self.desk.log_stream.stream(turn, partial(shown_events, after=after))
        return StreamingResponse(frames, media_type="text/event-stream", headers=STREAM_HEADERS | headers)


def read_stream(request: Request) -> bool:
    text = request.query_params.get("stream", "false").lower()
    if text not in SWITCHES:
        raise Invalid("Invalid 'stream': expected true or false.", field="stream", code="invalid_value")
    return SWITCHES[text]


def read_after(request: Request) -> int:
    """Return the number after which a stream is to go on; -1 is from its beginning."""
    text = request.query_params.get("starting_after")
    if text is None:
        return -1
    if not (text.isascii() and text.isdecimal() and len(text) <= SEQUENCE_DIGITS):
        message = "Invalid 'starting_after': expected the sequence_number of an event, a whole number from 0."
        raise Invalid(message, field="starting_after", code="invalid_value")
    return int(text)
