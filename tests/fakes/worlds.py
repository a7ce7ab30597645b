"""What does a whole turn need where nothing is real but our own code?"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from activities.anticipate import Anticipate
from activities.begin import Begin
from activities.finish import Finish
from activities.infer import Infer
from activities.inference.attempt_billing import AttemptBilling
from activities.inference.attempt_run import StreamPace
from activities.recall import Recall
from activities.retrieve import Retrieve
from activities.route import RouteTurn
from activities.routing.decision import RouteDecider
from activities.routing.warm_up import BackendWarmer
from activities.settle import Settle
from clients.backends.port import BackendClient
from clients.clock import Clock
from clients.orchestrations import turn_wire
from clients.sources.reader import SourceReader
from clients.storage.port import DocumentStore
from domain import wire
from domain.content.items import Item, Role
from domain.fleet.catalog import Adapter, Backend, BackendLimits, ContinuationMode, Fleet, Model, Speed
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.log.events import EventKind, LogEvent
from domain.log.transcript import Transcript
from domain.money.overheads import OverheadPrices
from domain.money.prices import Price, PriceSource, TokenPrice
from domain.sources.catalog import Sources
from domain.turns.response import Response, Sampling
from domain.turns.webhook_events import WebhookEndpoints
from state.fleet.backend_state import BackendStates
from state.fleet.rental_spend import RentalSpend
from state.money.gpu_sessions import GpuSessions
from state.money.ledger import Ledger
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import Run

OWNER = Owner(tenant="11111111-1111-1111-1111-111111111111", subject="user:22222222-2222-2222-2222-222222222222")
THREAD = "a" * 24
PRICE = TokenPrice(
    name="tokens",
    origin=PriceSource(source="a test", date="2026-11-01", region="nowhere"),
    input=Decimal(1),
    cached_input=Decimal("0.5"),
    output=Decimal(2),
)

PACE = StreamPace(flush_s=0.05, handover_s=480)


def backend(name: str, continues: ContinuationMode = ContinuationMode.ASSISTANT_PREFILL) -> Backend:
    return Backend(
        name=name,
        model="model",
        system="test",
        adapter=Adapter.OPENAI,
        url="http://127.0.0.1:1/v1",
        served_model="model",
        price=PRICE.name,
        limits=BackendLimits(context_tokens=4096, max_output_tokens=2048, concurrency=4, request_timeout_s=600),
        speed=Speed(prefill_tokens_s=1000, decode_tokens_s=50),
        continues=continues,
    )


@dataclass(slots=True)
class World[C: Clock = FakeClock]:
    """Real turns, ledger and steps over a given store, and backends by name, mostly fakes."""

    store: DocumentStore
    clock: C
    backends: Mapping[str, tuple[Backend, BackendClient]]
    pace: StreamPace = PACE
    prices: Mapping[str, Price] = field(default_factory=lambda: {PRICE.name: PRICE})
    hold_s: float = 10.0
    endpoints: WebhookEndpoints = field(default_factory=WebhookEndpoints)
    turns: TurnStore = field(init=False)
    ledger: Ledger = field(init=False)
    fleet: Fleet = field(init=False)
    warmer: BackendWarmer = field(init=False)
    steps: Mapping[str, Callable[[Any], Awaitable[Any]]] = field(init=False)

    def __post_init__(self) -> None:
        model = Model(name="model", context_tokens=4096, tier=1)
        self.fleet = Fleet(models={"model": model}, backends={name: one for name, (one, _) in self.backends.items()})
        self.turns = TurnStore(self.store, self.clock, self.endpoints)
        self.ledger = Ledger(self.store, self.clock)
        self.steps = self.steps_of(BackendStates(self.store, self.clock))

    def steps_of(self, backend_states: BackendStates) -> Mapping[str, Callable[[Any], Awaitable[Any]]]:
        clients = {name: client for name, (_, client) in self.backends.items()}
        sessions = GpuSessions(store=self.store, ledger=self.ledger, prices=self.prices, clock=self.clock)
        infer = Infer(
            turns=self.turns,
            billing=AttemptBilling(self.ledger, sessions),
            backend_states=backend_states,
            clients=clients,
            fleet=self.fleet,
            prices=self.prices,
            clock=self.clock,
            pace=self.pace,
        )
        decider = RouteDecider(
            backend_states=backend_states,
            rental_spend=RentalSpend(self.store, self.clock),
            fleet=self.fleet,
            prices=self.prices,
            clock=self.clock,
            default_output_tokens=512,
        )
        warmer = self.warmer = BackendWarmer(
            backend_states=backend_states, sessions=sessions, clients=clients, clock=self.clock
        )
        route = RouteTurn(
            turns=self.turns, backend_states=backend_states, decider=decider, warmer=warmer, hold_s=self.hold_s
        )
        recall = Recall(self.turns, Retrieve(self.turns, SourceReader(Sources(), {}, self.clock)))
        return {
            wire.BEGIN: Begin(self.turns).begin,
            wire.RECALL: recall.recall,
            wire.TRY_RECALL: recall.recall,
            wire.ANTICIPATE: Anticipate(turns=self.turns, decider=decider, warmer=warmer).anticipate,
            wire.ROUTE: route.route,
            wire.INFER: infer.infer,
            wire.FINISH: Finish(self.turns).finish,
            wire.SETTLE: Settle(self.ledger, OverheadPrices()).settle,
        }

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
    ) -> Response:
        """Admit a turn as the API does; one thread for all."""
        asked = Item(id=member_id("msg", thread=THREAD, token=self.clock.token()), role=Role.USER, text=text)
        response = Response(
            id=member_id("resp", thread=THREAD, token=self.clock.token()),
            owner=owner,
            model=model,
            created_at=self.clock.now(),
            deadline_at=self.clock.now() + deadline_s,
            previous=previous,
            input_items=(asked.id,),
            sampling=Sampling(max_output_tokens=max_output_tokens),
            traceparent=traceparent,
        )
        await self.ledger.reserve(owner, response.id, Decimal("0.01"))
        await self.turns.admit(response, (asked,), (LogEvent(kind=EventKind.CREATED),))
        return response

    async def run(self, response: Response, *, execution: int = 1) -> Run:
        """Run the turn's orchestration to its end."""
        run = Run(clock=self.clock, steps=self.steps, done=[], history=[])
        await run.respond(turn_wire(response), execution=execution)
        return run

    async def log(self, response: Response) -> Transcript:
        return await self.turns.transcript(OWNER, response.id)
