"""How does the scripted model serve the OpenAI chat API?"""

import asyncio
import json
from collections.abc import Callable
from copy import replace
from dataclasses import dataclass

from aiohttp import ClientConnectionResetError, web

from standins.scripted.chat_request import BadRequest, ScriptedRequest, request_from_body
from standins.scripted.chat_shapes import ChatReply, Frame, error, frames_of
from standins.scripted.request_log import LoggedRequest, RequestLog
from standins.scripted.script import ScriptedAnswer, ScriptedFailure, answer_to, failure_in
from standins.scripted.wire_faults import FAULTS_BEFORE_ANSWER, FAULTS_DURING_ANSWER, Exchange, cut_at

BODY_LIMIT = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPace:
    """`rate` is in tokens a second, 0 for as fast as possible; the first token comes after `first_token_s`."""

    rate: float = 50.0
    first_token_s: float = 0.0

    def due(self, tokens: int) -> float:
        return (self.first_token_s if tokens else 0.0) + (tokens / self.rate if self.rate else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedTurn:
    """One request being served."""

    request: web.Request
    chat: ScriptedRequest
    entry: LoggedRequest
    answer: ScriptedAnswer
    failure: ScriptedFailure | None


class ScriptedModel:
    def __init__(
        self, *, pace: TokenPace, continues: bool, clock: Callable[[], float], length: int | None = None
    ) -> None:
        self.length = length
        self.pace = pace
        self.continues = continues
        self.clock = clock
        self.log = RequestLog(clock)

    def application(self) -> web.Application:
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_get("/v1/models", self.models)
        app.router.add_get("/health", self.health)
        app.router.add_get("/admin/requests", self.requests)
        app.router.add_delete("/admin/requests", self.clear_requests)
        return app

    async def chat(self, request: web.Request) -> web.StreamResponse:
        try:
            chat = replace(request_from_body(await read_json(request)), length=self.length)
            self.check_continuation(chat)
            entry = self.log.open(chat, request.headers.get("traceparent"))
            return await self.close_log_after(self.turn(request, chat, entry))
        except BadRequest as problem:
            return web.json_response(error(400, str(problem), problem.param), status=400)

    def check_continuation(self, chat: ScriptedRequest) -> None:
        if chat.partial is not None and not self.continues:
            raise BadRequest("this model can't continue a partial answer", "messages")

    def turn(self, request: web.Request, chat: ScriptedRequest, entry: LoggedRequest) -> ScriptedTurn:
        try:
            failure, command = failure_in(chat.last_text("user"))
            answer = answer_to(chat, command, attempt=entry.attempt)
        except BadRequest:
            self.log.close(entry, "failed")
            raise
        is_over = failure is not None and failure.times is not None and entry.attempt > failure.times
        return ScriptedTurn(
            request=request, chat=chat, entry=entry, answer=answer, failure=None if is_over else failure
        )

    async def close_log_after(self, turn: ScriptedTurn) -> web.StreamResponse:
        try:
            response = await self.respond(turn)
        except (asyncio.CancelledError, ClientConnectionResetError):
            self.log.close(turn.entry, "client-closed")
            raise
        self.log.close(turn.entry, "failed" if turn.failure else "done")
        return response

    async def respond(self, turn: ScriptedTurn) -> web.StreamResponse:
        kind = turn.failure.kind if turn.failure else None
        if kind in FAULTS_BEFORE_ANSWER:
            return await FAULTS_BEFORE_ANSWER[kind](turn.request)
        response = web.StreamResponse(headers={"Cache-Control": "no-cache"})
        response.content_type = "text/event-stream" if turn.chat.stream else "application/json"
        exchange = self.exchange(turn, response)
        if kind is not None or turn.chat.stream:
            await response.prepare(turn.request)
        await (FAULTS_DURING_ANSWER[kind](exchange) if kind else exchange.play(exchange.frames))
        return response

    def exchange(self, turn: ScriptedTurn, response: web.StreamResponse) -> Exchange:
        reply = ChatReply(id=turn.entry.id, created=int(self.clock()), chat=turn.chat, answer=turn.answer)
        frames = frames_of(reply)
        started = asyncio.get_running_loop().time()

        async def play(part: list[Frame]) -> None:
            for frame in part:
                await sleep_until(started + self.pace.due(frame.tokens))
                if not response.prepared:
                    await response.prepare(turn.request)
                await response.write(frame.data)
                turn.entry.tokens = frame.tokens

        cut = cut_at(frames, turn.failure.after if turn.failure else None)
        return Exchange(request=turn.request, response=response, frames=frames, cut=cut, play=play)

    async def models(self, _request: web.Request) -> web.Response:
        data = [{"id": "scripted", "object": "model", "created": int(self.clock()), "owned_by": "standins"}]
        return web.json_response({"object": "list", "data": data})

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def requests(self, _request: web.Request) -> web.Response:
        return web.json_response({"requests": self.log.listing()})

    async def clear_requests(self, _request: web.Request) -> web.Response:
        self.log.clear()
        return web.Response(status=204)


async def read_json(request: web.Request) -> object:
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError) as problem:
        raise BadRequest(f"the body is not JSON: {problem}") from problem


async def sleep_until(due: float) -> None:
    await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
