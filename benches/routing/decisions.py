"""How long does one decision take among many backends, and how often does it call the store?"""

import time
from collections.abc import Sequence
from copy import replace

from benches.routing.arrivals import Arrivals
from benches.routing.cells import CONTEXT_TOKENS, MODEL, SPEED, Cell
from benches.routing.services import ApiService
from benches.tables import percentile, print_table
from clients.clock import Clock
from clients.storage.port import Document, DocumentKey, Operation
from domain.fleet.backend_state import initial_state
from domain.fleet.catalog import Fleet, Model
from domain.fleet.learned_speed import LearnedSpeed
from domain.routing.estimates import AttemptLimits, Demand
from domain.routing.router import route
from domain.wire import SizeWire
from tests.fakes.clocks import LoopClock, in_no_time
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import World

DECISIONS = 300
BACKENDS = (20, 40, 50)
HOUR_S = 3600.0


def took_ms(backends: int) -> list[float]:
    """Return the CPU milliseconds of each of many decisions among so many backends, half of them cold."""
    cell = Cell(name="", arrivals=Arrivals(source="steady", requests=0, seed=0))
    pair = (cell.gpu(), cell.hosted())
    many = {f"b{number}": replace(pair[number % 2], name=f"b{number}") for number in range(backends)}
    fleet = Fleet(models={MODEL: Model(name=MODEL, context_tokens=131_072, tier=1)}, backends=many)
    states = {
        name: replace(
            initial_state(backend), speed=LearnedSpeed(prefill_tokens_s=4000, decode_tokens_s=50 + number / 3)
        )
        for number, (name, backend) in enumerate(many.items())
    }
    limits = AttemptLimits(hold_s=10, handover_s=480)
    took: list[float] = []
    for number in range(DECISIONS):
        demand = Demand(input_tokens=800 + number, output_tokens=400, deadline_s=1800, attempt_limits=limits)
        began = time.thread_time()
        route(demand, fleet, states, HOUR_S + number)
        took.append((time.thread_time() - began) * 1000)
    return took


class CountingStore(MemoryStore):
    """Counts its reads (of a document or of a range) and its writes."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.reads, self.writes = 0, 0

    async def read(self, key: DocumentKey, identifier: str) -> Document | None:
        self.reads += 1
        return await super().read(key, identifier)

    async def list(self, key: DocumentKey, *, prefix: str, after: str = "", limit: int = 1000) -> Sequence[Document]:
        self.reads += 1
        return await super().list(key, prefix=prefix, after=after, limit=limit)

    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        self.writes += 1
        return await super().commit(key, operations)


async def store_calls(backends: int) -> tuple[int, int]:
    """Return the reads and writes of a decision with its rental spend, where the documents exist already."""
    cell, clock = Cell(name="", arrivals=Arrivals(source="steady", requests=0, seed=0)), LoopClock()
    store, nobody = CountingStore(clock), ApiService(requests={}, speed=SPEED, price=cell.token_price)
    named = {
        f"b{number}": cell.gpu(f"b{number}") if number % 2 else cell.hosted(f"b{number}") for number in range(backends)
    }
    world = World(
        store=store,
        clock=clock,
        backends={name: (each, nobody) for name, each in named.items()},
        context_tokens=CONTEXT_TOKENS,
    )
    response, decider = await world.admit("hello", model="auto"), world.app.activities.route.decider
    size: SizeWire = {"expected": 800, "likely": 800, "ceiling": 800, "bytes": 3200}
    for _ in range(2):
        store.reads, store.writes = 0, 0
        await decider.record_rental_spend(await decider.decide(response, size, excluded={}))
    return store.reads, store.writes


def print_decisions() -> None:
    """Print the CPU time of one decision, and its store calls."""
    calls = [[str(each), *map(str, in_no_time(store_calls(each)))] for each in (2, 10, 20)]
    print_table(("backends, half of them GPUs", "reads of a decision", "writes"), calls)
    print()
    rows = [
        [f"{backends} backends", *(f"{percentile(took, share):.2f}" for share in (0.5, 0.95, 0.99))]
        for backends in BACKENDS
        for took in [took_ms(backends)]
    ]
    print_table(("CPU of one decision, ms", "median", "p95", "p99"), rows)
