"""How are responses created, read, streamed, cancelled and deleted over HTTP?"""

import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse

from api.http.conditional import conditional, for_method, tag_of
from api.http.errors import json_answer
from api.http.pagination import list_object, page_of, read_page_request
from api.parsing.field_rules import ignored_header
from api.parsing.responses_request import TurnRequest, request_from_openai, require_input
from api.rendering.cache_header import cache_header
from api.rendering.response import openai_from_item, openai_from_response
from api.rendering.sse_events import frames
from api.turns.deliveries import hash_of
from api.turns.turn_gateway import TurnGateway
from clients.orchestrations import signal_deleted
from domain.errors import Invalid
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.turns import response as domain_turns
from state.retention.deletion import Retention
from state.turns.conversation_lock import next_in_line
from state.turns.responses import TurnStore, no_response

EVENT_STREAM = "text/event-stream"
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
        owner, (turn_request, body_hash) = await self.gateway.read(req, read_request)
        turn = await self.gateway.admit(req, owner, turn_request, body_hash=body_hash, client=client)
        ignored, streams = ignored_header(turn_request.ignored), turn_request.stream
        cancels = turn_request.cancels_on_disconnect
        del turn_request
        if streams:
            stream = self.gateway.stream(req, turn, partial(frames, after=-1), cancels=cancels, client=client)
            return event_stream(stream, {**ignored, **cache_header(turn)})
        log = await self.gateway.wait_until_ended(turn)
        return json_answer(openai_from_response(turn, log), headers={**ignored, **cache_header(turn, log)})

    async def retrieve(self, req: Request) -> Response:
        """`GET` and `HEAD /v1/responses/{response_id}`, and with `stream=true` its log after `starting_after`."""
        owner = await self.gateway.owner(req)
        stream, after = read_stream(req), read_after(req)
        if stream:
            turn = await self.turns.read(owner, req.path_params["response_id"])
            return self.resumed(req, turn, after)
        turn = await self.readable(owner, req)
        answer = await self.current(turn)
        if turn.status.is_terminal:
            answer = conditional(req, answer, tag_of(bytes(answer.body)))
        return for_method(req, answer)

    async def cancel(self, req: Request, client: Any) -> Response:
        """`POST /v1/responses/{response_id}/cancel`"""
        owner = await self.gateway.owner(req)
        turn = await self.turns.read(owner, req.path_params["response_id"])
        ended = await self.gateway.cancellations.cancel(turn, client)
        if ended.status is not ResponseStatus.CANCELLED:
            message = f"Cannot cancel a response that is {ended.status.value}."
            raise Invalid(message, field="response_id", code="not_cancellable")
        return await self.current(ended)

    async def delete(self, req: Request, client: Any) -> Response:
        """`DELETE /v1/responses/{response_id}`: a running turn is cancelled first."""
        owner = await self.gateway.owner(req)
        ended = await self.retention.delete_response(owner, req.path_params["response_id"])
        later = await next_in_line(self.turns.store, ended)
        await signal_deleted(self.gateway.open_orchestrations(client), ended, later)
        return json_answer({"id": ended.id, "object": "response", "deleted": True})

    async def list_items(self, req: Request) -> Response:
        """`GET /v1/responses/{response_id}/input_items`: the response's own input, without its history."""
        owner = await self.gateway.owner(req)
        page = read_page_request(req)
        turn = await self.readable(owner, req)
        names, more = page_of(turn.input_items, page, str)
        found = await self.turns.items(owner, tuple(names))
        return json_answer(list_object([openai_from_item(item) for item in found], more=more))

    def resumed(self, req: Request, turn: Turn, after: int) -> Response:
        """Return the events of a turn after a number; those of an ended turn never change."""
        stream = self.gateway.log_stream.stream(turn, partial(frames, after=after))
        answer = Response(media_type=EVENT_STREAM) if req.method == "HEAD" else event_stream(stream, {})
        if turn.status.is_terminal:
            version = json.dumps([turn.id, after, turn.to_document()]).encode()
            answer = conditional(req, answer, tag_of(version))
        return for_method(req, answer)

    async def readable(self, owner: Owner, req: Request) -> Turn:
        """Return the response of the path; raises NotFound, also for an unstored response that has ended."""
        turn = await self.turns.read(owner, req.path_params["response_id"])
        if not turn.is_readable:
            raise no_response(turn.id)
        return turn

    async def current(self, turn: Turn) -> Response:
        log = await self.turns.transcript(turn.owner, turn.id)
        return json_answer(openai_from_response(turn, log))


def event_stream(stream: AsyncIterator[bytes], headers: Mapping[str, str]) -> Response:
    return StreamingResponse(stream, media_type=EVENT_STREAM, headers={**STREAM_HEADERS, **headers})


def read_request(body: dict[str, Any]) -> tuple[TurnRequest, str]:
    """Return the requested turn and the hash of the body."""
    request = request_from_openai(body)
    require_input(request)
    return request, hash_of(body)


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
