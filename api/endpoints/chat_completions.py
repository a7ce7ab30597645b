"""How is Chat Completions answered, by the same turns as Responses?"""

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
"""What a failed turn is as an error of HTTP; the rest is the server's."""

FAILED = ErrorResponse(status=500, type="server_error", code="server_error")
GONE = ErrorResponse(status=409, code="cancelled", headers=NO_RETRY)
"""What a turn is that was deleted while it ran."""


class ChatCompletions:
    """The HTTP function of chat completions. `client` is the durable client of the invocation."""

    def __init__(self, *, desk: TurnGateway, chats: StoredCompletions) -> None:
        self.desk = desk
        self.chats = chats

    async def create(self, req: Request, client: Any) -> Response:
        """`POST /v1/chat/completions`"""
        owner, body = await self.desk.read_request(req)
        asked = request_from_chat(body)
        turn = await self.desk.admit(req, owner, asked.turn, told=body, client=client)
        if turn.store:
            await self.chats.note(turn)
        headers = ignored_header(asked.turn.ignored)
        if asked.turn.stream:
            show = partial(chat_frames, include_usage=asked.include_usage)
            frames = self.desk.log_stream.stream(turn, show)
            return StreamingResponse(frames, media_type="text/event-stream", headers=STREAM_HEADERS | headers)
        log = await self.desk.wait_until_ended(turn)
        if log.ending is None:
            raise Unavailable("The answer takes longer than a request may last; the same request again goes on.")
        if log.status is ResponseStatus.FAILED:
            return failed(log.ending)
        if log.status is ResponseStatus.CANCELLED:
            return error_answer(GONE, CANCELLED)
        return json_answer(chat_from_response(turn, log), headers=headers)


def failed(ending: Ending) -> Response:
    posture = FAILURES.get(ending.code, FAILED)
    return error_answer(posture, ending.message or FAILED_MESSAGE)
