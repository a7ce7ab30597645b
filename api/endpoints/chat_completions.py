"""How does `POST /v1/chat/completions` create a turn and return its answer?"""

from functools import partial
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse

from api.endpoints.responses import STREAM_HEADERS
from api.http.errors import NO_RETRY, ErrorResponse, error_answer, json_answer
from api.parsing.chat_request import request_from_chat
from api.parsing.field_rules import ignored_header
from api.rendering.chat import CANCELLED, chat_frames, chat_from_response
from api.rendering.response import FAILED_MESSAGE
from api.turns.turn_gateway import TurnGateway
from domain.errors import Unavailable
from domain.log.events import Ending, ResponseStatus
from state.turns.stored_completions import StoredCompletions

FAILURES = {
    "rate_limit_exceeded": ErrorResponse(status=429, type="rate_limit_exceeded", code="rate_limit_exceeded"),
    "invalid_prompt": ErrorResponse(status=400, code="invalid_prompt"),
}
"""The HTTP errors of failed turns by their codes; every other code is a server error."""

FAILED = ErrorResponse(status=500, type="server_error", code="server_error")
CANCELLED_RESPONSE = ErrorResponse(status=409, code="cancelled", headers=NO_RETRY)
"""The HTTP error of a turn that was deleted while it ran."""

TIMED_OUT = "The request timed out while the answer was being generated. Retry the same request to continue."


class ChatCompletions:
    """The HTTP function of chat completions. `client` is the durable client of the invocation."""

    def __init__(self, *, gateway: TurnGateway, chats: StoredCompletions) -> None:
        self.gateway = gateway
        self.chats = chats

    async def create(self, req: Request, client: Any) -> Response:
        """`POST /v1/chat/completions`"""
        owner, body = await self.gateway.read_request(req)
        chat = request_from_chat(body)
        turn = await self.gateway.admit(req, owner, chat.turn, content=body, client=client)
        if turn.options.store:
            await self.chats.add(turn)
        headers = ignored_header(chat.turn.ignored)
        if chat.turn.stream:
            render = partial(chat_frames, include_usage=chat.include_usage)
            stream = self.gateway.log_stream.stream(turn, render)
            return StreamingResponse(stream, media_type="text/event-stream", headers=STREAM_HEADERS | headers)
        log = await self.gateway.wait_until_ended(turn)
        if log.ending is None:
            raise Unavailable(TIMED_OUT)
        if log.status is ResponseStatus.FAILED:
            return failed(log.ending)
        if log.status is ResponseStatus.CANCELLED:
            return error_answer(CANCELLED_RESPONSE, CANCELLED)
        return json_answer(chat_from_response(turn, log), headers=headers)


def failed(ending: Ending) -> Response:
    return error_answer(FAILURES.get(ending.code, FAILED), ending.message or FAILED_MESSAGE)
