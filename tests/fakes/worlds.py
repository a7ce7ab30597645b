"""What does a whole turn need where nothing is real but our own code?"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from activities.maintenance.sweep import Sweep, SweepDelays
from activities.routing.warm_up import BackendWarmer
from api.http.authentication import Authenticator
from clients.azure_storage.port import AnswerStorage, NoStorage
from clients.backends.credentials import BearerToken
from clients.backends.port import BackendClient, PromptCounter
from clients.clock import Clock
from clients.files.port import FileContents
from clients.instances.port import InstanceCounter, NoCounter
from clients.orchestrations import Orchestrations, turn_wire
from clients.sources.egress import PinnedClient
from clients.sources.port import SourceConnector
from clients.sources.reader import SourceReader
from clients.storage.port import DocumentStore
from clients.tokenizers.port import Tokenizer
from clients.tools.on_behalf_of import ExchangeRefused, TokenExchange
from clients.tools.port import ToolConnector
from clients.webhooks.sender import WebhookSender
from composition.application import Application, compose
from composition.parts import Configuration, Ports
from domain import wire
from domain.content.capabilities import Capability
from domain.content.items import Item, Role
from domain.content.tools import ToolConfig
from domain.errors import Unauthenticated
from domain.fleet.caller_rules import TenantRules
from domain.fleet.catalog import Adapter, Backend, BackendLimits, ContinuationMode, Fleet, Model, Speed
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.log.events import EventKind, LogEvent
from domain.log.transcript import Transcript
from domain.money.budgets import Budgets
from domain.money.overheads import OverheadPrices
from domain.money.prices import PriceSource, TokenPrice
from domain.pipelines.pipeline import Pipelines
from domain.sources.catalog import SourceKind, Sources
from domain.tools.catalog import ToolServers
from domain.turns.response import Response, ResponseHistory, ResponseOptions, Sampling
from domain.turns.webhook_events import WebhookEndpoints
from settings import Settings, read_settings
from state.money.ledger import Ledger
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import EventBoard, FakeOrchestrations, Run
from tests.fakes.tools import FakeTools

OWNER = Owner(tenant="11111111-1111-1111-1111-111111111111", subject="user:22222222-2222-2222-2222-222222222222")
THREAD = "a" * 24
PRICE = TokenPrice(
    name="tokens",
    origin=PriceSource(source="a test", date="2026-11-01", region="nowhere"),
    input=Decimal(1),
    cached_input=Decimal("0.5"),
    output=Decimal(2),
)


def backend(name: str, continues: ContinuationMode = ContinuationMode.ASSISTANT_PREFILL) -> Backend:
    return Backend(
        name=name,
        model="model",
        system="test",
        adapter=Adapter.OPENAI,
        url="http://127.0.0.1:1/v1",
        served_model="model",
        price=PRICE,
        limits=BackendLimits(context_tokens=4096, max_output_tokens=2048, concurrency=4, request_timeout_s=600),
        speed=Speed(prefill_tokens_s=1000, decode_tokens_s=50),
        continues=continues,
    )


SETTINGS = read_settings(
    {
        "GANGLION_TOKEN_KEYS": "unused",
        "GANGLION_TOKEN_AUDIENCE": "unused",
        "GANGLION_TOKEN_TENANTS": "unused",
        "GANGLION_DATA": str(Path("unused")),
        "GANGLION_FLUSH_S": "0.05",
        "GANGLION_DEFAULT_OUTPUT_TOKENS": "512",
    }
)


def no_network(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("a world has no network", request=request)


NO_NETWORK = httpx.AsyncClient(transport=httpx.MockTransport(no_network), trust_env=False)
"""One client for all worlds: a client of its own would load the certificate store for each of them."""


class NoCallers:
    """Knows nobody."""

    behind_platform = False

    async def authenticate(self, token: str) -> Owner:
        raise Unauthenticated(f"nobody holds {token}")

    def owner_of_principal(self, principal: str) -> Owner:
        raise Unauthenticated(f"nobody is {principal}")


class NoExchange:
    """Gives nobody the rights of a caller."""

    async def exchange(self, owner: Owner, assertion: str, scope: str) -> BearerToken:
        raise ExchangeRefused(f"unauthorized_client for {scope} of {owner.subject} ({len(assertion)} characters)")


@dataclass(slots=True)
class World[C: Clock = FakeClock]:
    """The product, composed over a given store, with backends by name that are mostly fakes."""

    store: DocumentStore
    clock: C
    backends: Mapping[str, tuple[Backend, BackendClient]]
    settings: Settings = SETTINGS
    endpoints: WebhookEndpoints = field(default_factory=WebhookEndpoints)
    overheads: OverheadPrices = field(default_factory=OverheadPrices)
    budgets: Budgets = field(default_factory=Budgets)
    sources: Sources = field(default_factory=Sources)
    connectors: Mapping[SourceKind, SourceConnector] = field(default_factory=dict[SourceKind, SourceConnector])
    tool_servers: ToolServers = field(default_factory=ToolServers)
    pipelines: Pipelines = field(default_factory=Pipelines)
    tools: ToolConnector = field(default_factory=FakeTools)
    exchange: TokenExchange = field(default_factory=NoExchange)
    prompt_counters: Mapping[str, PromptCounter] = field(default_factory=dict[str, PromptCounter])
    tokenizers: Mapping[str, Tokenizer] = field(default_factory=dict[str, Tokenizer])
    callers: TenantRules = field(default_factory=TenantRules)
    context_tokens: int = 4096
    capabilities: frozenset[Capability] = frozenset()
    tiers: Mapping[str, int] = field(default_factory=lambda: {"model": 1})
    authenticator: Authenticator = field(default_factory=NoCallers)
    orchestrations: Orchestrations = field(default_factory=FakeOrchestrations)
    instance_counter: InstanceCounter = field(default_factory=NoCounter)
    large_files: FileContents | None = None
    answer_storage: AnswerStorage = field(default_factory=NoStorage)
    app: Application = field(init=False)
    steps: Mapping[str, Callable[[Any], Awaitable[Any]]] = field(init=False)

    def __post_init__(self) -> None:
        models = {
            name: Model(name=name, context_tokens=self.context_tokens, tier=tier, capabilities=self.capabilities)
            for name, tier in self.tiers.items()
        }
        backends = {name: one for name, (one, _) in self.backends.items()}
        configuration = Configuration(
            settings=self.settings,
            fleet=Fleet(models=models, backends=backends, callers=self.callers),
            prices={one.price.name: one.price for one in backends.values()},
            overheads=self.overheads,
            budgets=self.budgets,
            sources=self.sources,
            endpoints=self.endpoints,
            tools=self.tool_servers,
            pipelines=self.pipelines,
        )
        ports = Ports(
            clock=self.clock,
            store=self.store,
            authenticator=self.authenticator,
            backends={name: client for name, (_, client) in self.backends.items()},
            prompt_counters=self.prompt_counters,
            tokenizers=self.tokenizers,
            source_reader=SourceReader(self.sources, self.connectors, self.clock),
            tool_connector=self.tools,
            token_exchange=self.exchange,
            webhook_sender=WebhookSender(PinnedClient(NO_NETWORK, loopback=True), self.clock),
            instance_counter=self.instance_counter,
            large_files=self.large_files,
            answer_storage=self.answer_storage,
            open_orchestrations=lambda _client: self.orchestrations,
        )
        self.app = compose(configuration, ports)
        self.steps = {
            **self.app.activities.by_name(),
            wire.ROUTE: self.waking(self.app.activities.route.route),
            wire.INFER: self.infer,
            wire.FINISH: self.waking(self.app.activities.finish.finish),
        }

    async def infer(self, request: wire.InferWire) -> wire.InferredWire:
        """Run an attempt as it is registered."""
        return await self.app.follow_ups.after_inferring(self.app.activities.infer.infer)(request, None)

    def waking[R, T](self, step: Callable[[R], Awaitable[T]]) -> Callable[[R], Awaitable[T]]:
        """Return a step as it is registered, with the client that the host passes to it."""
        bound = self.app.follow_ups.waking(step)
        return lambda request: bound(request, None)

    def sweep(self, delays: SweepDelays) -> Sweep:
        """Return a sweeper of its own, with other delays than the product's."""
        state = self.app.state
        return Sweep(
            turns=state.turns, outbox=state.webhook_outbox, ledger=state.ledger, clock=self.clock, delays=delays
        )

    @property
    def turns(self) -> TurnStore:
        return self.app.state.turns

    @property
    def ledger(self) -> Ledger:
        return self.app.state.ledger

    @property
    def fleet(self) -> Fleet:
        return self.app.configuration.fleet

    @property
    def warmer(self) -> BackendWarmer:
        return self.app.activities.warmer

    async def admit(
        self,
        text: str,
        *,
        model: str = "model",
        previous: str | None = None,
        traceparent: str = "",
        deadline_s: float = 1800,
        owner: Owner = OWNER,
        max_output_tokens: int | None = None,
        thread: str = THREAD,
        tools: ToolConfig | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Response:
        """Admit a turn as the API does; one thread for all, unless another one is given."""
        asked = Item(id=member_id("msg", thread=thread, token=self.clock.token()), role=Role.USER, text=text)
        response = Response(
            id=member_id("resp", thread=thread, token=self.clock.token()),
            owner=owner,
            created_at=self.clock.now(),
            deadline_at=self.clock.now() + deadline_s,
            input_items=(asked.id,),
            traceparent=traceparent,
            options=ResponseOptions(
                model=model,
                sampling=Sampling(max_output_tokens=max_output_tokens, parameters=parameters or {}),
                tool_config=tools or ToolConfig(),
            ),
            history=ResponseHistory(previous=previous),
        )
        await self.ledger.reserve(owner, response.id, Decimal("0.01"))
        await self.turns.admit(response, (asked,), (LogEvent(kind=EventKind.CREATED),))
        return response

    async def run(self, response: Response, *, execution: int = 1, events: EventBoard | None = None) -> Run:
        """Run the turn's orchestration to its end."""
        run = Run(clock=self.clock, steps=self.steps, done=[], history=[], events=events)
        await run.respond(turn_wire(response), execution=execution)
        return run

    async def log(self, response: Response) -> Transcript:
        return await self.turns.transcript(OWNER, response.id)
