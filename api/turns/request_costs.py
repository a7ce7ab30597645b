"""What did it cost to answer a request about a turn, and where does that go?

A request that asks for a turn or follows one is a function that runs for as long: it goes on the turn's bill when it
has ended, beside the answer. What a process had to write down when it died is lost.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from clients.clock import Clock
from clients.storage.request_units import RequestCharge, metered
from domain.errors import GanglionError
from domain.money.overheads import LEAST_EXECUTION_S, OverheadPrices, StepResources
from domain.turns.response import Response
from state.money.ledger import Ledger

MOST_ADMITTED = 1000


@dataclass(slots=True, kw_only=True)
class RequestUse:
    """One request, in seconds since the epoch and in request units."""

    began: float
    units: float = 0.0

    @contextmanager
    def metered(self) -> Generator[RequestCharge]:
        """Count what the store charges inside; nothing is to be yielded to others in between."""
        with metered() as charge:
            try:
                yield charge
            finally:
                self.units += charge.units


@dataclass(slots=True, kw_only=True)
class RequestCosts:
    """Writes down what requests cost. `admitted` are visits that have let a turn in and go on to follow it."""

    ledger: Ledger
    prices: OverheadPrices
    clock: Clock
    admitted: dict[str, RequestUse] = field(default_factory=dict[str, RequestUse])
    writing: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def visit(self, response_id: str = "") -> RequestUse:
        """Return the visit that let a turn in and has not been followed yet, else one that begins now."""
        return self.admitted.pop(response_id, None) or RequestUse(began=self.clock.now())

    def let_in(self, response_id: str, visit: RequestUse) -> None:
        """Remember a visit until its turn is followed; one that never is, as its caller is gone, is forgotten."""
        self.admitted[response_id] = visit
        if len(self.admitted) > MOST_ADMITTED:
            self.admitted.pop(next(iter(self.admitted)))

    def ended(self, response: Response, visit: RequestUse) -> None:
        """Put a visit that has ended on the turn's bill, without keeping anybody waiting."""
        seconds = max(LEAST_EXECUTION_S, self.clock.now() - visit.began)
        spent = StepResources(units=round(visit.units, 2), seconds=round(seconds, 3), executions=1)
        task = asyncio.create_task(self.write(response, spent))
        self.writing.add(task)
        task.add_done_callback(self.writing.discard)

    async def write(self, response: Response, spent: StepResources) -> None:
        with suppress(GanglionError):
            await self.ledger.add_overhead(response, self.prices.cost(spent))
