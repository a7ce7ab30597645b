"""What did the store charge for what is being done now, in request units?

    with metered() as charge:
        ...
    charge.units

Tasks started inside count too. An adapter that costs nothing by the operation charges nothing.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class RequestCharge:
    """`units` are request units of Azure Cosmos DB, `requests` the answers that charged them."""

    units: float = 0.0
    requests: int = 0

    def add(self, other: "RequestCharge") -> None:
        self.units += other.units
        self.requests += other.requests


current: ContextVar[RequestCharge | None] = ContextVar("charge", default=None)


@contextmanager
def metered() -> Generator[RequestCharge]:
    """Sum what is charged inside; what encloses it counts it as well."""
    outer, charge = current.get(), RequestCharge()
    token = current.set(charge)
    try:
        yield charge
    finally:
        current.reset(token)
        if outer:
            outer.add(charge)


def charged(units: float) -> None:
    """Record the charge of one answered request."""
    charge = current.get()
    if charge:
        charge.add(RequestCharge(units=units, requests=1))
