"""How do tests call the API? The real HTTP functions run over real turns in memory, without a host."""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from copy import replace
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import httpx
from azurefunctions.extensions.http.fastapi import Request, Response
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.authentication import Authenticator
from api.routes import CATCH_ALL, HttpRoute, routes
from clients.azure_storage.port import AnswerStorage, NoStorage
from clients.backends.port import BackendClient, PromptCounter
from clients.files.port import FileContents
from clients.sources.port import SourceConnector
from clients.storage.port import DocumentStore
from clients.tokenizers.port import Tokenizer
from clients.tools.on_behalf_of import TokenExchange
from clients.tools.port import ToolConnector
from domain.approval_wire import decided_event
from domain.batches.batch import Batch
from domain.content.capabilities import Capability
from domain.errors import Unauthenticated
from domain.fleet.caller_rules import TenantRules
from domain.fleet.catalog import Backend
from domain.identity.owners import Owner
from domain.money.budgets import Budgets
from domain.money.overheads import OverheadPrices
from domain.pipelines.pipeline import Pipelines
from domain.sources.catalog import SourceKind, Sources
from domain.tools.catalog import ToolServers
from domain.turns import response as domain_turns
from domain.turns.webhook_events import WebhookEndpoints
from domain.wire import CANCELLED_EVENT
from state.rate_limits import RateLimiter
from tests.fakes.backends import FakeBackend, says
from tests.fakes.batches import BatchRun
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import EventBoard, FakeOrchestrations
from tests.fakes.stores import MemoryStore
from tests.fakes.tools import FakeTools
from tests.fakes.worlds import OWNER, SETTINGS, NoExchange, World, backend

STRANGER = Owner(tenant=OWNER.tenant, subject="user:33333333-3333-3333-3333-333333333333")
READER = Owner(tenant=OWNER.tenant, subject="app:44444444-4444-4444-4444-444444444444", roles=("Usage.Read",))
OPERATOR = Owner(
    tenant=OWNER.tenant,
    subject="user:66666666-6666-6666-6666-666666666666",
    roles=("Operations.Read", "Operations.WarmUp", "Usage.Read"),
)
ACCEPTER = Owner(
    tenant=OWNER.tenant, subject="user:77777777-7777-7777-7777-777777777777", roles=("Operations.Read", "Tools.Accept")
)
SENDER = Owner(tenant=OWNER.tenant, subject="app:55555555-5555-5555-5555-555555555555", roles=("Events.Send",))
CALLERS = {
    "mine": OWNER,
    "strange": STRANGER,
    "reader": READER,
    "curious": Owner(tenant=OWNER.tenant, subject=OWNER.subject, roles=READER.roles),
    "operator": OPERATOR,
    "sender": SENDER,
    "accepter": ACCEPTER,
    "foreign": Owner(tenant="99999999-9999-9999-9999-999999999999", subject=READER.subject, roles=READER.roles),
}
NAMESAKES = {
    "double": Owner(tenant="99999999-9999-9999-9999-999999999999", subject=OWNER.subject),
    "far": Owner(tenant="99999999-9999-9999-9999-999999999999", subject=STRANGER.subject),
}
"""Callers with the same object ids in another tenant."""

FUNCTIONS = "functions"
"""The key of a request's scope under which the router finds the HTTP functions."""
ANSWER = "four and twenty blackbirds"


class FakeAuthenticator:
    """Accepts one token for each caller: the caller's name."""

    behind_platform = False

    def __init__(self) -> None:
        self.owners: Mapping[str, Owner] = CALLERS | NAMESAKES

    async def authenticate(self, token: str) -> Owner:
        await asyncio.sleep(0)
        if token not in self.owners:
            raise Unauthenticated("The access token has expired.")
        return self.owners[token]

    def owner_of_principal(self, principal: str) -> Owner:
        return self.owners[principal]


class RunningOrchestrations(FakeOrchestrations):
    """Runs started orchestrations in tasks, unless `hold` is true."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.hold = False
        self.asked = asyncio.Event()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.boards: dict[str, EventBoard] = {}

    async def start(self, response: domain_turns.Response) -> None:
        await super().start(response)
        self.asked.set()
        if not self.hold:
            board = self.boards[response.id] = EventBoard(self.world.clock)
            run = self.world.run(response, execution=len(self.started), events=board)
            self.tasks.add(asyncio.create_task(run, name=response.id))

    async def signal_decided(self, response_id: str, request_id: str) -> None:
        await super().signal_decided(response_id, request_id)
        if response_id in self.boards:
            self.boards[response_id].post(decided_event(request_id))

    async def signal_cancelled(self, response_id: str) -> None:
        await super().signal_cancelled(response_id)
        if response_id in self.boards:
            self.boards[response_id].post(CANCELLED_EVENT)

    async def start_batch(self, batch: Batch) -> None:
        await super().start_batch(batch)
        if not self.hold and self.batches.count(batch.id) == 1:
            self.tasks.add(asyncio.create_task(BatchRun(self.world).run(batch)))

    async def ended(self, *, but: Collection[str] = ()) -> None:
        """Return when the turns have ended, apart from those with these ids."""
        await asyncio.gather(*(each for each in self.tasks if each.get_name() not in but))


def web_app(world: World[Any]) -> ASGIApp:
    """Return the HTTP functions of a world as the worker serves them."""
    return serving(routes(world.app.http))


def serving(functions: Sequence[HttpRoute]) -> ASGIApp:
    """Return the application that answers with these functions."""
    dispatch = router(tuple((each.template, each.methods) for each in functions))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await dispatch({**scope, FUNCTIONS: functions}, receive, send)

    return app


@cache
def router(paths: tuple[tuple[str, tuple[str, ...]], ...]) -> Starlette:
    """Return what passes a request to the function of its path; the paths are compiled once for all worlds."""
    return Starlette(routes=[mounted(number, *path) for number, path in enumerate(paths)])


def mounted(number: int, template: str, methods: tuple[str, ...]) -> Route:
    async def endpoint(request: Request) -> Response:
        function: HttpRoute = request.scope[FUNCTIONS][number]
        call = partial(function.handler, client=None) if function.needs_client else function.handler
        return await call(req=request)

    return Route("/" + template.replace(CATCH_ALL, "{path:path}"), endpoint, methods=list(methods))


@dataclass(slots=True)
class Api:
    """The API of a world, and a client that holds the token `mine`."""

    world: World
    orchestrations: RunningOrchestrations
    http: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        transport = httpx.ASGITransport(self.app())
        self.http = httpx.AsyncClient(
            transport=transport, base_url="http://ganglion", headers={"authorization": "Bearer mine"}
        )

    @property
    def limits(self) -> RateLimiter:
        return self.world.app.state.rate_limiter

    def app(self) -> ASGIApp:
        return web_app(self.world)

    async def create(self, body: Mapping[str, Any], **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post("/v1/responses", json=body, headers=sent)

    async def stored(self) -> set[str]:
        """Return the kinds of all stored documents."""
        store = self.world.store
        assert isinstance(store, MemoryStore)
        return {row.document.body["kind"] for rows in store.partitions.values() for row in rows.values()}


def api(
    *answers: BackendClient,
    store: DocumentStore | None = None,
    clock: FakeClock | None = None,
    overheads: OverheadPrices | None = None,
    authenticator: Authenticator | None = None,
    tool_servers: ToolServers | None = None,
    tools: ToolConnector | None = None,
    exchange: TokenExchange | None = None,
    budgets: Budgets | None = None,
    deployed: Mapping[str, Backend] | None = None,
    sources: Sources | None = None,
    connectors: Mapping[SourceKind, SourceConnector] | None = None,
    tokenizers: Mapping[str, Tokenizer] | None = None,
    prompt_counters: Mapping[str, PromptCounter] | None = None,
    callers: TenantRules | None = None,
    endpoints: WebhookEndpoints | None = None,
    pipelines: Pipelines | None = None,
    large_files: FileContents | None = None,
    answer_storage: AnswerStorage | None = None,
    **changes: Any,
) -> Api:
    """Return an API whose backends, main and spare or those `deployed`, answer as scripted.

    `changes` are changed settings.
    """
    at = clock or FakeClock()
    fakes = answers or (FakeBackend(says(ANSWER)),)
    known = deployed or {name: backend(name) for name in ("main", "spare")}
    backends = {name: (one, fake) for (name, one), fake in zip(known.items(), fakes, strict=False)}
    orchestrations = RunningOrchestrations()
    world = orchestrations.world = World(
        store=store or MemoryStore(at),
        clock=at,
        backends=backends,
        settings=replace(SETTINGS, **changes),
        overheads=overheads or OverheadPrices(),
        budgets=budgets or Budgets(),
        authenticator=authenticator or FakeAuthenticator(),
        tool_servers=tool_servers or ToolServers(),
        tools=tools or FakeTools(),
        exchange=exchange or NoExchange(),
        orchestrations=orchestrations,
        sources=sources or Sources(),
        connectors=connectors or {},
        tokenizers=tokenizers or {},
        prompt_counters=prompt_counters or {},
        callers=callers or TenantRules(),
        endpoints=endpoints or WebhookEndpoints(),
        pipelines=pipelines or Pipelines(),
        large_files=large_files,
        answer_storage=answer_storage or NoStorage(),
    )
    return Api(world=world, orchestrations=orchestrations)


def with_vision(fake: FakeBackend) -> Api:
    """Return an API whose model reads images."""
    one = api(fake)
    model = replace(one.world.fleet.models["model"], capabilities=frozenset({Capability.VISION}))
    one.world.fleet.models["model"] = model  # type: ignore[index]
    return one


def events_of(stream: str) -> list[dict[str, Any]]:
    """Return the events of a complete stream; each of them must be framed correctly."""
    blocks = [block for block in stream.split("\n\n") if block and not block.startswith(":")]
    assert blocks[-1] == "data: [DONE]"
    bodies: list[dict[str, Any]] = []
    for block in blocks[:-1]:
        name, _, data = block.partition("\n")
        body = json.loads(data.removeprefix("data: "))
        assert name == f"event: {body['type']}"
        bodies.append(body)
    return bodies
