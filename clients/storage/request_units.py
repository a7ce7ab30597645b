"""How many request units did the store charge for the current work?

    with metered() as charge:
        ...
    charge.units

Tasks that are started inside count too. An adapter without request units charges nothing.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from msgspec import Struct

from telemetry.metrics import count_request_units


class RequestCharge(Struct):
    """`units` are request units of Azure Cosmos DB, `requests` the replies that charged them."""

    units: float = 0.0
    requests: int = 0

    def add(self, other: "RequestCharge") -> None:
        self.units += other.units
        self.requests += other.requests

    def part(self, count: int) -> "RequestCharge":
        """Return what each of `count` works is charged for a request that they share."""
        return RequestCharge(units=self.units / count, requests=self.requests)


current: ContextVar[RequestCharge | None] = ContextVar("charge", default=None)


@contextmanager
def metered() -> Generator[RequestCharge]:
    """Sum the charges inside; an enclosing `metered` counts them too."""
    outer, charge = current.get(), RequestCharge()
    token = current.set(charge)
    try:
        yield charge
    finally:
        current.reset(token)
        if outer:
            outer.add(charge)


def leave_meter() -> None:
    """Charge what this task does from now on to no work, such as what a background task does for a whole tenant."""
    current.set(None)


def add_charge(units: float) -> None:
    """Add the charge of one request."""
    count_request_units(units)
    charge = current.get()
    if charge:
        charge.add(RequestCharge(units=units, requests=1))


def add_part(part: RequestCharge) -> None:
    """Add the part of a request that was counted where it was sent."""
    charge = current.get()
    if charge:
        charge.add(part)
