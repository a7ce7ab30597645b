"""How are responses created, read, streamed, cancelled and deleted over HTTP?"""

from functools import partial
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse

from api.http.errors import json_answer
from api.http.pagination import list_object, page_of, read_page_request
from api.parsing.field_rules import ignored_header
from api.parsing.responses_request import request_from_openai
from api.rendering.response import openai_from_item, openai_from_response
from api.rendering.sse_events import frames
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

    def __init__(self, *, gateway: TurnGateway, turns: TurnStore, retention: Retention) -> None:
        self.gateway = gateway
        self.turns = turns
        self.retention = retention

    async def create(self, req: Request, client: Any) -> Response:
        """`POST /v1/responses`"""
        owner, body = await self.gateway.read_request(req)
        turn_request = request_from_openai(body)
        turn = await self.gateway.admit(req, owner, turn_request, content=body, client=client)
        headers = ignored_header(turn_request.ignored)
        if turn_request.stream:
            return self.streamed(turn, after=-1, headers=headers)
        log = await self.gateway.wait_until_ended(turn)
        return json_answer(openai_from_response(turn, log), headers=headers)

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/responses/{response_id}`, and with `stream=true` its log after `starting_after`."""
        owner = await self.gateway.owner(req)
        stream, after = read_stream(req), read_after(req)
        turn = await self.turns.read(owner, req.path_params["response_id"])
        if stream:
            return self.streamed(turn, after=after, headers={})
        return await self.current(turn)

    async def cancel(self, req: Request, client: Any) -> Response:
        """`POST /v1/responses/{response_id}/cancel`"""
        owner = await self.gateway.owner(req)
        turn = await self.turns.read(owner, req.path_params["response_id"])
        if not turn.options.background:
            raise Invalid("Cannot cancel a synchronous response.", field="response_id", code="not_cancellable")
        ended = await self.turns.finish(owner, turn.id, status=ResponseStatus.CANCELLED)
        if ended.status is not ResponseStatus.CANCELLED:
            message = f"Cannot cancel a response that is {ended.status.value}."
            raise Invalid(message, field="response_id", code="not_cancellable")
        await self.gateway.open_orchestrations(client).signal_cancelled(turn.id)
        return await self.current(ended)

    async def delete(self, req: Request, client: Any) -> Response:
        """`DELETE /v1/responses/{response_id}`: a running turn is cancelled first."""
        owner = await self.gateway.owner(req)
        ended = await self.retention.delete_response(owner, req.path_params["response_id"])
        if ended.status is ResponseStatus.CANCELLED:
            await self.gateway.open_orchestrations(client).signal_cancelled(ended.id)
        return json_answer({"id": ended.id, "object": "response", "deleted": True})

    async def list_items(self, req: Request) -> Response:
        """`GET /v1/responses/{response_id}/input_items`: the response's own input, without its history."""
        owner = await self.gateway.owner(req)
        page = read_page_request(req)
        turn = await self.turns.read(owner, req.path_params["response_id"])
        names, more = page_of(turn.input_items, page, str)
        found = await self.turns.items(owner, tuple(names))
        return json_answer(list_object([openai_from_item(item) for item in found], more=more))

    async def current(self, turn: Turn) -> Response:
        log = await self.turns.transcript(turn.owner, turn.id)
        return json_answer(openai_from_response(turn, log))

    def streamed(self, turn: Turn, *, after: int, headers: dict[str, str]) -> Response:
        stream = self.gateway.log_stream.stream(turn, partial(frames, after=after))
        return StreamingResponse(stream, media_type="text/event-stream", headers=STREAM_HEADERS | headers)


def read_stream(request: Request) -> bool:
    text = request.query_params.get("stream", "false").lower()
    if text not in SWITCHES:
        raise Invalid("Invalid 'stream': expected true or false.", field="stream", code="invalid_value")
    return SWITCHES[text]


def read_after(request: Request) -> int:
    """Return the sequence number after which the stream resumes; -1 is its beginning."""
    text = request.query_params.get("starting_after")
    if text is None:
        return -1
    if not (text.isascii() and text.isdecimal() and len(text) <= SEQUENCE_DIGITS):
        message = "Invalid 'starting_after': expected the sequence_number of an event, a whole number from 0."
        raise Invalid(message, field="starting_after", code="invalid_value")
    return int(text)
