"""What does it cost to answer a request about a turn, and how does that get onto the turn's bill?

A request that starts or follows a turn is a function execution of that duration. Its cost is added to the turn's bill
after the answer, in the background. Costs that a process has not written when it crashes are lost.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress

from msgspec import Struct, field

from clients.clock import Clock
from clients.storage.request_units import RequestCharge, metered
from domain.errors import GanglionError
from domain.money.overheads import LEAST_EXECUTION_S, OverheadPrices, StepResources
from domain.turns.response import Response
from state.money.ledger import Ledger

PENDING_LIMIT = 1000


class RequestUse(Struct, kw_only=True):
    """What one request uses: the time since `started_at`, in seconds since the epoch, and request units."""

    started_at: float
    units: float = 0.0

    @contextmanager
    def metered(self) -> Generator[RequestCharge]:
        """Count the store's charges inside the context; a generator must not yield to its caller inside."""
        with metered() as charge:
            try:
                yield charge
            finally:
                self.units += charge.units


class RequestCosts(Struct, kw_only=True):
    """Records what requests cost. `pending` are requests that admitted a turn and will follow it, by response id."""

    ledger: Ledger
    prices: OverheadPrices
    clock: Clock
    pending: dict[str, RequestUse] = field(default_factory=dict[str, RequestUse])
    writes: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def start(self) -> RequestUse:
        return RequestUse(started_at=self.clock.now())

    def keep(self, response_id: str, use: RequestUse) -> None:
        """Keep the use of a request until it follows its turn; of too many, the oldest is dropped."""
        self.pending[response_id] = use
        if len(self.pending) > PENDING_LIMIT:
            self.pending.pop(next(iter(self.pending)))

    def resume(self, response_id: str) -> RequestUse:
        """Return the use of the request that admitted a turn and does not follow it yet, else a new one."""
        return self.pending.pop(response_id, None) or self.start()

    def record(self, response: Response, use: RequestUse) -> None:
        """Add the cost of a finished request to the turn's bill, in the background."""
        seconds = max(LEAST_EXECUTION_S, self.clock.now() - use.started_at)
        resources = StepResources(units=round(use.units, 2), seconds=round(seconds, 3), executions=1)
        task = asyncio.create_task(self.write(response, resources))
        self.writes.add(task)
        task.add_done_callback(self.writes.discard)

    async def write(self, response: Response, resources: StepResources) -> None:
        with suppress(GanglionError):
            await self.ledger.add_overhead(response, self.prices.cost(resources))
