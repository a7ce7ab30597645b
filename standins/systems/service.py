"""How is a request served that comes to the stand-in of a system: identity, sleep, the model's answer, the books?"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import ClientConnectionResetError, web
from aiohttp.typedefs import Handler

from standins.clock import now
from standins.json_values import Json
from standins.scripted.chat_request import text_from
from standins.scripted.server import ScriptedModel
from standins.systems.chat import BadCall, Operation, Refusal, lines_of
from standins.systems.doors import DOORS, Door
from standins.systems.identities import ISSUERS, TokenKeys
from standins.systems.predictions import Predictions
from standins.systems.sleeping import Instance

KEPT = 10_000
TGI = "tgi"
TGI_HEALTH = "/health"
HEALTH = "health/ready"
READY = "ready"
"""Whether a model of the Open Inference Protocol is ready: 400 without a body as long as it is not."""


@dataclass(slots=True, kw_only=True)
class Served:
    """One request. Tokens are those that the caller was told; `outcome` is asleep, refused, done, failed or closed.

    `busy_s` is how long it took, from its arrival to its end.
    """

    system: str
    method: str
    path: str
    status: int = 0
    outcome: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    instructions: str = ""
    billed_ms: int = 0
    began: float = field(default_factory=now)
    busy_s: float = 0.0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def to_json(self) -> Json:
        return {
            "system": self.system,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "outcome": self.outcome,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "instructions": self.instructions,
            "billed_ms": self.billed_ms,
            "busy_s": self.busy_s,
        }


class Systems:
    """All stand-ins, with the scripted model behind them."""

    def __init__(
        self,
        *,
        model: ScriptedModel,
        start_s: float,
        idle_s: float,
        clock: Callable[[], float],
        issuers: TokenKeys | None = None,
    ) -> None:
        self.model = model
        self.issuers = issuers
        self.instances = {name: Instance(start_s=start_s, idle_s=idle_s, clock=clock) for name in DOORS}
        self.recorded: deque[Served] = deque(maxlen=KEPT)
        self.refusals: dict[str, tuple[int, bytes]] = {}
        """The status and the words with which the model of a system refuses every chat."""
        self.client: aiohttp.ClientSession
        self.predictions = Predictions(lambda: self.client)

    def application(self) -> web.Application:
        app = self.model.application()
        app.middlewares.append(self.tgi_health)
        if self.issuers:
            app[ISSUERS] = self.issuers
        app.router.add_get("/admin/systems", self.state)
        app.router.add_post("/admin/systems/{system}/sleep", self.sleep)
        self.predictions.add_routes(app.router)
        app.router.add_route("*", "/systems/{system}/{path:.*}", self.serve)
        app.router.add_route("*", "/v1/systems/{system}/{path:.*}", self.serve)
        app.on_startup.append(self.open)
        app.on_cleanup.append(self.close)
        return app

    async def open(self, _app: web.Application) -> None:
        self.client = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))

    async def close(self, _app: web.Application) -> None:
        await self.client.close()

    async def state(self, _request: web.Request) -> web.Response:
        lives = {name: instance.lives for name, instance in self.instances.items()}
        return web.json_response({"requests": [each.to_json() for each in self.recorded], "lives": lives})

    async def sleep(self, request: web.Request) -> web.Response:
        if (name := request.match_info["system"]) not in self.instances:
            return unknown_system(name)
        self.instances[name].put_to_sleep()
        return web.Response(status=204)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if (name := request.match_info["system"]) not in DOORS:
            return unknown_system(name)
        record = Served(system=name, method=request.method, path=request.path)
        self.recorded.append(record)
        try:
            response = await self.answer(request, DOORS[name], self.instances[name], record)
        except (asyncio.CancelledError, ClientConnectionResetError):
            record.outcome = "closed"
            raise
        finally:
            record.busy_s = now() - record.began
            record.ended.set()
        record.status = response.status
        return response

    @web.middleware
    async def tgi_health(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer for TGI, whose health is at its origin."""
        if request.path != TGI_HEALTH:
            return await handler(request)
        if self.instances[TGI].is_up:
            return web.Response()
        self.instances[TGI].wake()
        return answered(DOORS[TGI].asleep or Refusal(status=503))

    async def answer(self, request: web.Request, door: Door, instance: Instance, record: Served) -> web.StreamResponse:
        body = await request.read()
        if refused := door.identity.refusal(request, body):
            record.outcome = "refused"
            return refused
        path = path_behind(request, door)
        try:
            operation = door.wire.operation(path, body) if request.method == "POST" else None
        except BadCall as problem:
            record.outcome = "failed"
            return answered(door.wire.error(Operation(chat={}, streams=False), 400, str(problem).encode()))
        if operation is None and not door.lists_models and path not in {HEALTH, READY}:
            return web.json_response({"message": "path not found"}, status=404)
        if not door.never_sleeps and not instance.is_up:
            instance.wake()
            if door.asleep:
                record.outcome = "asleep"
                return answered(Refusal(status=400) if path == READY else door.asleep)
            await instance.up()
        if operation is None:
            return web.json_response({"object": "list", "data": [{"id": "scripted", "object": "model"}]})
        instance.enter()
        try:
            return await self.ask(request, door, operation, record)
        finally:
            instance.leave()

    async def ask(self, request: web.Request, door: Door, operation: Operation, record: Served) -> web.StreamResponse:
        chat = {name: value for name, value in operation.chat.items() if value is not None}
        record.instructions = instructions_of(chat)
        if refused := self.refusals.get(record.system):
            record.outcome = "failed"
            return answered(door.wire.error(operation, *refused))
        own = f"http://{request.host}/v1/chat/completions"
        headers = {name: request.headers[name] for name in ("traceparent",) if name in request.headers}
        try:
            async with self.client.post(own, json=chat, headers=headers) as answer:
                if answer.status != 200:  # noqa: PLR2004 - HTTP's
                    record.outcome = "failed"
                    found = door.wire.error(operation, answer.status, await answer.read())
                    later = {name: value for name, value in answer.headers.items() if name == "Retry-After"}
                    return answered(found, later)
                response = await self.relay(request, door, operation, counted(lines_of(answer), record))
                record.billed_ms = sum(operation.billed_ms)
                return response
        except aiohttp.ClientError:
            record.outcome = "failed"
            if request.transport:
                request.transport.abort()
            return web.Response(status=502)

    async def relay(
        self, request: web.Request, door: Door, operation: Operation, lines: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers=dict(door.wire.headers(operation)))
        await response.prepare(request)
        async for part in door.wire.encoded(operation, lines):
            await response.write(part)
        return response


def path_behind(request: web.Request, door: Door) -> str:
    """Return the path behind the door's base, with its encoding."""
    _, _, whole = request.rel_url.raw_path.partition(f"/systems/{request.match_info['system']}/")
    return whole.removeprefix(f"{door.base}/") if door.base else whole


def unknown_system(name: str) -> web.Response:
    return web.json_response({"message": f"unknown system {name}; choose one of {', '.join(DOORS)}"}, status=404)


def answered(refusal: Refusal, later: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=refusal.status, headers={**refusal.headers, **(later or {})}, body=refusal.body)


async def counted(lines: AsyncIterator[bytes], record: Served) -> AsyncIterator[bytes]:
    """Pass the lines of an answer on, and keep the counts of its tokens for the books."""
    record.outcome = "failed"
    async for line in lines:
        if b'"usage"' in line:
            usage: Any = json.loads(line.removeprefix(b"data:")).get("usage") or {}
            record.input_tokens, record.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
            record.outcome = "done"
        yield line


def instructions_of(chat: Json) -> str:
    """Return the first system message, by which a test knows its own turn."""
    messages: list[Json] = chat["messages"]
    return next((text_from(each.get("content")) for each in messages if each["role"] in ("system", "developer")), "")
