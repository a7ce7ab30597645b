"""How is Chat Completions answered, by the same turns as Responses?"""

from functools import partial
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response, StreamingResponse

from api.endpoints.responses import STREAM_HEADERS
from api.http.errors import NO_RETRY, Posture, error_answer, json_answer
from api.parsing.chat_request import asked_from_chat
from api.parsing.field_rules import ignored_header
from api.rendering.chat import CANCELLED, chat_frames, chat_from_response
from api.rendering.response import FAILED_MESSAGE
from api.turns.turn_gateway import Desk
from domain.errors import Unavailable
from domain.log.events import Ending, Status
from state.turns.stored_completions import StoredChats

FAILURES = {
    "rate_limit_exceeded": Posture(status=429, type="rate_limit_exceeded", code="rate_limit_exceeded"),
    "invalid_prompt": Posture(status=400, code="invalid_prompt"),
}
"""What a failed turn is as an error of HTTP; the rest is the server's."""

FAILED = Posture(status=500, type="server_error", code="server_error")
GONE = Posture(status=409, code="cancelled", headers=NO_RETRY)
"""What a turn is that was deleted while it ran."""


class ChatCompletions:
    """The HTTP function of chat completions. `client` is the durable client of the invocation."""

    def __init__(self, *, desk: Desk, chats: StoredChats) -> None:
        self.desk = desk
        self.chats = chats

    async def create(self, req: Request, client: Any) -> Response:
        """`POST /v1/chat/completions`"""
        owner, body = await self.desk.received(req)
        asked = asked_from_chat(body)
        turn = await self.desk.admitted(req, owner, asked.turn, told=body, client=client)
        if turn.store:
            await self.chats.note(turn)
        headers = ignored_header(asked.turn.ignored)
        if asked.turn.stream:
            show = partial(chat_frames, include_usage=asked.include_usage)
            frames = self.desk.tail.stream(turn, show)
            return StreamingResponse(frames, media_type="text/event-stream", headers=STREAM_HEADERS | headers)
        log = await self.desk.ended(turn)
        if log.ending is None:
            raise Unavailable("The answer takes longer than a request may last; the same request again goes on.")
        if log.status is Status.FAILED:
            return failed(log.ending)
        if log.status is Status.CANCELLED:
            return error_answer(GONE, CANCELLED)
        return json_answer(chat_from_response(turn, log), headers=headers)


def failed(ending: Ending) -> Response:
    posture = FAILURES.get(ending.code, FAILED)
    return error_answer(posture, ending.message or FAILED_MESSAGE)
