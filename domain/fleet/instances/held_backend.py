"""What is a backend to the router whose idle period the product chooses?"""

from collections.abc import Mapping
from copy import replace

from domain.fleet.catalog import Backend, Fleet
from domain.fleet.instances.scaling import Scaling
from domain.money.prices import TimePrice


def with_idle_period(backend: Backend, idle_s: float) -> Backend:
    """Return the backend with another idle period, in seconds; the provider's is not paid."""
    price = backend.price
    paid = replace(price, idle_s=idle_s) if isinstance(price, TimePrice) else price
    return replace(backend, price=paid, cold_start=replace(backend.cold_start, idle_s=idle_s))


def provider_idle_s(backend: Backend) -> float:
    """Return the idle period of the provider, in seconds, as its price has it."""
    return backend.price.idle_s if isinstance(backend.price, TimePrice) else 0.0


def held(backend: Backend, idle_s: float | None = None) -> Backend:
    """Return a backend that the product ends, with the idle period of its rule; without one, that of the fleet file.

    Every other backend is returned as it is.
    """
    if backend.scaling is Scaling.PROVIDER:
        return backend
    return with_idle_period(backend, backend.cold_start.idle_s if idle_s is None else idle_s)


def held_fleet(fleet: Fleet, idle_periods: Mapping[str, float | None]) -> Fleet:
    """Return the fleet as the router sees it; `idle_periods` are those of the rules in force, in seconds."""
    if all(each.scaling is Scaling.PROVIDER for each in fleet.backends.values()):
        return fleet
    backends = {name: held(each, idle_periods.get(name)) for name, each in fleet.backends.items()}
    return replace(fleet, backends=backends)
