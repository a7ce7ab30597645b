"""What does the product itself cost on a cell? All of it runs, in virtual time; only the two services are fakes.

Turns are admitted, routed, queued, moved, answered and settled by the product's own activities and orchestration, over
the store in memory of its tests.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from copy import replace
from dataclasses import dataclass, field
from functools import partial
from random import Random
from statistics import median

from benches.routing.arrivals import TrafficRequest
from benches.routing.cells import API, BOX, CONTEXT_TOKENS, GPU, MODEL, MOST_ANSWER_TOKENS, SPEED, Cell, api_price
from benches.routing.demand import counted_requests
from benches.routing.services import ApiService, BoxService, GpuPoolService, GpuService, PagedGpuService
from benches.tables import percentile
from clients.backends.port import BackendClient
from clients.orchestrations import turn_wire
from domain.fleet.catalog import Backend
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from tests.fakes.clocks import LoopClock, in_no_time
from tests.fakes.machines.paged_engine import PagedEngine
from tests.fakes.orchestration import FakeOrchestrations, Run, TimedEvents
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, SETTINGS, World

FEW_STARTS = 3
MAINTENANCE_S = 60.0
REST_S = 900.0
"""The minute timer has nothing to do when no turn was under way and no GPU was up for this long."""

PROMPT_OVERHEAD = 48
"""What the product adds to the tokens of a prompt; it counts a digit as a token: `domain.tokens.estimates`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the counted requests add to the bills in dollars, what the ledger says of all, and how they fared.

    `bill_usd`, `ledger_usd`, `misses` and `waits_s` (seconds until a turn ended, less its work) are of all requests.
    `start_errors` says how far off the learned starts are. `idle_since` is when the last work before the counted
    requests ended on a GPU that was up when they began, and `earlier_starts` counts its starts before that.
    """

    api_usd: float
    gpu_usd: float
    bill_usd: float
    ledger_usd: float
    lives: int
    wasted: int
    misses: int
    idle_since: float | None
    earlier_starts: int
    start_errors: Sequence[float]
    waits_s: Sequence[float]

    @property
    def dollars(self) -> float:
        return self.api_usd + self.gpu_usd

    @property
    def wait_p99_s(self) -> float:
        return percentile(self.waits_s, 0.99) if self.waits_s else 0.0


@dataclass(slots=True, kw_only=True)
class VirtualProduct:
    """One run of the product on one cell."""

    cell: Cell
    requests: Sequence[TrafficRequest]
    clock: LoopClock = field(init=False)
    model: str = MODEL
    gpus: Mapping[str, GpuService | GpuPoolService] = field(init=False)
    apis: Mapping[str, ApiService] = field(init=False)
    world: World[LoopClock] = field(init=False)
    orchestrations: FakeOrchestrations = field(default_factory=FakeOrchestrations)
    ended: dict[str, tuple[TrafficRequest, Response, float]] = field(
        default_factory=dict[str, tuple[TrafficRequest, Response, float]]
    )

    def __post_init__(self) -> None:
        cell, named = self.cell, self.by_name()
        self.clock = LoopClock(seed=cell.arrivals.seed)
        prices = (cell.token_price, *(api_price(name) for name in cell.more_apis))
        self.gpus = {name: self.gpu_service(name, named) for name in names(GPU, cell.gpus)}
        self.apis = {
            name: ApiService(requests=named, speed=SPEED, price=price)
            for name, price in zip(names(API, len(prices)), prices, strict=True)
        }
        self.world = World(
            store=MemoryStore(self.clock),
            clock=self.clock,
            backends={
                **{name: (cell.gpu(name), gpu) for name, gpu in self.gpus.items()},
                **{name: (cell.hosted(name, api.price), api) for name, api in self.apis.items()},
                **self.box(named),
            },
            settings=replace(SETTINGS, default_output_tokens=MOST_ANSWER_TOKENS),
            orchestrations=self.orchestrations,
            instance_counter=GpuCounter(self.gpus),
            context_tokens=CONTEXT_TOKENS,
        )

    def gpu_service(self, name: str, named: Mapping[str, TrafficRequest]) -> GpuService | GpuPoolService:
        cell = self.cell
        if cell.kv_tokens:
            kind = partial(PagedGpuService, engine=PagedEngine(tokens=cell.kv_tokens, speed=cell.gpu_speed))
        else:
            kind = GpuService if cell.instances == 1 else GpuPoolService
        service = partial(
            kind,
            requests=named,
            speed=cell.gpu_speed,
            is_counted=cell.counted,
            start_s=partial(next, start_times_s(cell, name)),
            average_s=cell.start_s,
            concurrency=cell.room,
            idle_s=cell.idle_s,
        )
        return service()

    def box(self, named: Mapping[str, TrafficRequest]) -> Mapping[str, tuple[Backend, BackendClient]]:
        if not self.cell.box_room:
            return {}
        room = asyncio.Semaphore(self.cell.box_room)
        service = BoxService(requests=named, speed=SPEED, price=self.cell.token_price, room=room)
        return {BOX: (self.cell.box(), service)}

    def by_name(self) -> Mapping[str, TrafficRequest]:
        return {f"t{number}": request for number, request in enumerate(self.requests)}

    async def run(self) -> Outcome:
        maintenance = asyncio.create_task(self.maintain())
        await asyncio.gather(*(self.turn(name, each) for name, each in self.by_name().items()))
        while self.is_any_up:
            await self.clock.sleep(MAINTENANCE_S)
        maintenance.cancel()
        await self.clock.sleep(2 * self.cell.idle_s)
        await self.world.app.maintenance.run(self.orchestrations)
        return await self.outcome()

    @property
    def is_any_up(self) -> bool:
        return any(gpu.life for gpu in self.gpus.values())

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def turn(self, name: str, request: TrafficRequest) -> None:
        await self.clock.sleep(request.at)
        digits = max(1, request.input_tokens - PROMPT_OVERHEAD)
        response = await self.world.admit(
            f"{name} {'0' * digits}",
            model=self.model,
            deadline_s=self.cell.deadline_s,
            thread=self.clock.token(),
        )
        self.orchestrations.running.add(response.id)
        events = self.orchestrations.boards[response.id] = TimedEvents(self.clock)
        run = Run(clock=self.clock, steps=self.world.steps, done=[], history=[], events=events)
        await run.respond(turn_wire(response))
        self.orchestrations.running.discard(response.id)
        del self.orchestrations.boards[response.id]
        self.ended[name] = request, response, self.clock.now() - response.created_at

    async def maintain(self) -> None:
        """Run what the product's timer runs each minute, as long as there is anything to do."""
        worked_at = 0.0
        while True:
            await self.clock.sleep(MAINTENANCE_S)
            if self.is_any_up or self.orchestrations.running:
                worked_at = self.now
            if self.now - worked_at <= REST_S:
                await self.world.app.instance_timer.run()
                await self.world.app.maintenance.run(self.orchestrations)

    async def outcome(self) -> Outcome:
        counted = counted_requests(self.requests)
        since = counted[0].at
        statuses = [await self.status(response) for _, response, _ in self.ended.values()]
        waits = [
            took - request.input_tokens / SPEED.prefill_tokens_s - request.output_tokens / SPEED.decode_tokens_s
            for request, _, took in self.ended.values()
        ]
        gpus, apis = self.gpus.values(), self.apis.values()
        idle_since = self.gpus[GPU].idle_since(since)
        idle_s = 0.0 if self.cell.counted else self.cell.idle_s
        ends = [since if each is None else each + idle_s for each in (gpu.idle_since(since) for gpu in gpus)]
        paid_s = sum(ends) - len(ends) * since
        return Outcome(
            api_usd=sum(each.dollars_after(since) for each in apis),
            gpu_usd=(sum(each.seconds_after(since) for each in gpus) - paid_s) * self.cell.second_usd,
            bill_usd=self.dollars_after(0),
            ledger_usd=await self.ledger_total(),
            lives=sum(len(each.lives) for each in gpus),
            wasted=sum(each.wasted_lives() for each in gpus),
            start_errors=await self.start_errors(),
            idle_since=idle_since,
            earlier_starts=sum(life.started < since for life in self.gpus[GPU].lives),
            misses=sum(status is not ResponseStatus.COMPLETED for status in statuses),
            waits_s=waits,
        )

    def dollars_after(self, since: float) -> float:
        api_usd = sum(each.dollars_after(since) for each in self.apis.values())
        return api_usd + sum(each.seconds_after(since) for each in self.gpus.values()) * self.cell.second_usd

    async def start_errors(self) -> Sequence[float]:
        """Return how far off the learned start of each GPU with three starts is, as a share of its true median."""
        backends = {name: self.cell.gpu(name) for name, gpu in self.gpus.items() if len(gpu.lives) >= FEW_STARTS}
        states = await self.world.app.state.backend_states.read(backends)
        true = {
            name: median(life.ready - life.started for life in self.gpus[name].lives if life.ready) for name in states
        }
        return [abs(state.start_times.p50_s / true[name] - 1) for name, state in states.items()]

    async def status(self, response: Response) -> ResponseStatus:
        return (await self.world.turns.read(OWNER, response.id)).status

    async def ledger_total(self) -> float:
        """Return what all records of all turns say that the services cost."""
        responses = [response for _, response, _ in self.ended.values()]
        records = [each for one in responses for each in await self.world.ledger.records(OWNER, one.id)]
        return float(sum(each.charge.reserved if each.charge.cost is None else each.charge.cost for each in records))


@dataclass(frozen=True, slots=True)
class GpuCounter:
    """Sets the number of instances of each GPU."""

    gpus: Mapping[str, GpuService | GpuPoolService]

    async def set_count(self, backend: Backend, count: int) -> str:
        return await self.gpus[backend.name].set_count(backend, count)

    async def wait(self, backend: Backend, operation: str) -> None:
        await self.gpus[backend.name].wait(backend, operation)


def start_times_s(cell: Cell, name: str = GPU) -> Iterator[float]:
    """Yield how long each start of a GPU takes, in seconds."""
    random = Random(f"starts {cell.name}{name.removeprefix(GPU)}")  # noqa: S311 - draws starts
    while True:
        yield cell.start_s * random.lognormvariate(0, cell.spread)


def names(first: str, count: int) -> Sequence[str]:
    """Return the names of services of one kind."""
    return [first, *(f"{first}-{number}" for number in range(2, count + 1))][:count]


def simulate(cell: Cell) -> Outcome:
    """Run the product on a cell."""
    return in_no_time(VirtualProduct(cell=cell, requests=cell.arrivals.draw()).run())
