"""How does `POST /v1/chat/completions` create a turn and return its answer?"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response
from msgspec import Struct

from api.endpoints.azure_paths import DEPLOYMENT
from api.endpoints.responses import event_stream
from api.http.errors import NO_RETRY, ErrorResponse, error_answer, json_answer
from api.parsing.chat_request import ChatTurnRequest, request_from_chat
from api.parsing.field_rules import ignored_header
from api.rendering.cache_header import cache_header
from api.rendering.chat import CANCELLED, chat_frames, chat_from_response
from api.rendering.response import FAILED_MESSAGE, Json
from api.turns.deliveries import hash_of
from api.turns.turn_gateway import TurnGateway
from domain.errors import Invalid, Unavailable
from domain.log.events import Ending, ResponseStatus
from domain.log.transcript import Transcript
from domain.turns import response as domain_turns
from state.turns.stored_completions import StoredCompletions

type Turn = domain_turns.Response

FAILURES = {
    "rate_limit_exceeded": ErrorResponse(status=429, type="rate_limit_exceeded", code="rate_limit_exceeded"),
    "invalid_prompt": ErrorResponse(status=400, code="invalid_prompt"),
}
"""The HTTP errors of failed turns by their codes; every other code is a server error."""

FAILED = ErrorResponse(status=500, type="server_error", code="server_error")
CANCELLED_RESPONSE = ErrorResponse(status=409, code="cancelled", headers=NO_RETRY)
"""The HTTP error of a turn that was deleted while it ran."""

UNKNOWN_MODEL = "model_not_found"
NO_MODEL = ErrorResponse(status=404)
"""The HTTP error of an unknown model, which the Responses API answers with 400."""

TIMED_OUT = "The request timed out while the answer was being generated. Retry the same request to continue."


class ChatCompletions:
    """The HTTP function of chat completions. `client` is the durable client of the invocation."""

    def __init__(self, *, gateway: TurnGateway, chats: StoredCompletions) -> None:
        self.gateway = gateway
        self.chats = chats

    async def create(self, req: Request, client: Any) -> Response:
        """`POST /v1/chat/completions`"""
        owner, chat = await self.gateway.read(req, partial(read_chat, deployment=req.path_params.get(DEPLOYMENT)))
        requested, body_hash = chat.request, chat.body_hash
        try:
            turn = await self.gateway.admit(req, owner, requested.turn, body_hash=body_hash, client=client)
        except Invalid as error:
            if error.code != UNKNOWN_MODEL:
                raise
            return error_answer(NO_MODEL, str(error), field=error.field, code=error.code)
        if turn.options.store:
            await self.chats.add(turn)
        ignored = ignored_header((*requested.turn.ignored, *chat.overridden))
        streams = requested.turn.stream
        render, cancels = (
            partial(chat_frames, include_usage=requested.include_usage),
            requested.turn.cancels_on_disconnect,
        )
        del chat, requested
        if streams:
            stream = self.gateway.stream(req, turn, render, cancels=cancels, client=client)
            return event_stream(stream, {**ignored, **cache_header(turn)})
        log = await self.gateway.wait_until_ended(turn)
        return answer_of_chat(turn, log, headers={**ignored, **cache_header(turn, log)})


class ReadChat(Struct, frozen=True, kw_only=True):
    """A requested chat, the hash of its body, and the names of the fields that the path overrides."""

    request: ChatTurnRequest
    body_hash: str
    overridden: tuple[str, ...]


def read_chat(body: Json, *, deployment: str | None) -> ReadChat:
    """Read a body; the model of a deployment's path takes the place of its own."""
    overridden = () if deployment is None or body.get("model") in (None, deployment) else ("model",)
    named = body if deployment is None else {**body, "model": deployment}
    return ReadChat(request=request_from_chat(named), body_hash=hash_of(named), overridden=overridden)


def answer_of_chat(turn: Turn, log: Transcript, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer for a turn; raises Unavailable where it has not ended in time."""
    if log.ending is None:
        raise Unavailable(TIMED_OUT)
    if log.status is ResponseStatus.FAILED:
        return failed(log.ending)
    if log.status is ResponseStatus.CANCELLED:
        return error_answer(CANCELLED_RESPONSE, CANCELLED)
    return json_answer(chat_from_response(turn, log), headers=headers)


def failed(ending: Ending) -> Response:
    return error_answer(FAILURES.get(ending.code, FAILED), ending.message or FAILED_MESSAGE)
