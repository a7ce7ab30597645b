"""How do different policies choose between an API and a GPU that scales to zero?"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Protocol

from benches.routing.optimum import Terms
from benches.routing.traffic import TrafficRequest
from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend, Fleet
from domain.fleet.cold_start import WarmUp, lease_s
from domain.routing.estimates import AttemptLimits, Demand, Readiness
from domain.routing.rent_or_buy import window_s
from domain.routing.router import route

EXPECTED_ANSWER = 211
API, GPU = "api", "gpu"
ATTEMPT_LIMITS = AttemptLimits(hold_s=10, handover_s=480)


@dataclass(slots=True)
class Machine:
    """The GPU: it is paid from warm-up to scale-in and serves any number of requests at once."""

    terms: Terms
    started: float = 0.0
    ready: float = 0.0
    gone: float = float("-inf")
    paid: float = 0.0
    lives: int = 0

    def state(self, at: float) -> Readiness:
        if at >= self.gone:
            return Readiness.COLD
        return Readiness.STARTING if at < self.ready else Readiness.UP

    def warm_up(self, at: float) -> None:
        if self.state(at) is Readiness.COLD:
            self.close()
            self.started, self.ready = at, at + self.terms.cold_s
            self.gone = self.ready + self.terms.tail_s
            self.lives += 1

    def serve(self, request: TrafficRequest) -> float:
        """Return the seconds until the first word of the request."""
        self.warm_up(request.at)
        begun = max(request.at, self.ready)
        self.gone = max(self.gone, begun + self.terms.busy_s(request) + self.terms.tail_s)
        return begun - request.at + request.input_tokens / self.terms.prefill_tokens_s

    def close(self) -> None:
        if self.lives:
            self.paid += self.terms.second * (self.gone - self.started)


class RoutingPolicy(Protocol):
    def choose(self, request: TrafficRequest, machine: Machine) -> str: ...


@dataclass(frozen=True, slots=True)
class AlwaysOne:
    """Always the same backend: the API, or the GPU, which looks free to a sum of prices per token."""

    backend: str

    def choose(self, request: TrafficRequest, machine: Machine) -> str:  # noqa: ARG002 - the port's own arguments
        return self.backend


@dataclass(slots=True)
class RoundRobin:
    """Round robin."""

    last: str = GPU

    def choose(self, request: TrafficRequest, machine: Machine) -> str:  # noqa: ARG002 - the port's own arguments
        self.last = API if self.last == GPU else GPU
        return self.last


@dataclass(slots=True)
class FastestOfLate:
    """The backend that answered faster of late; one request in fifty tries the other."""

    seen: dict[str, float] = field(default_factory=lambda: {API: 0.0, GPU: 0.0})
    asked: int = 0

    def choose(self, request: TrafficRequest, machine: Machine) -> str:
        self.asked += 1
        best = min(self.seen, key=lambda name: self.seen[name])
        where = best if self.asked % 50 else API if best == GPU else GPU
        waits_s = max(0.0, machine.ready - request.at) if machine.state(request.at) is not Readiness.COLD else 0.0
        cold_s = machine.terms.cold_s if machine.state(request.at) is Readiness.COLD else 0.0
        took_s = 1.0 if where == API else 0.5 + waits_s + cold_s
        self.seen[where] += 0.2 * (took_s - self.seen[where])
        return where


@dataclass(slots=True, kw_only=True)
class ProductRouting:
    """The product's own router, with a correct backend state; each turn may take `deadline_s`."""

    fleet: Fleet
    deadline_s: float
    rent: deque[tuple[float, Decimal]] = field(default_factory=deque[tuple[float, Decimal]])
    total: Decimal = Decimal(0)

    def choose(self, request: TrafficRequest, machine: Machine) -> str:
        gpu = self.fleet.backends[GPU]
        beliefs = {GPU: believed(gpu, machine, request.at)}
        spent = self.spent(request.at - window_s(gpu))
        demand = Demand(
            input_tokens=request.input_tokens,
            output_tokens=1024,
            expected_output_tokens=EXPECTED_ANSWER,
            deadline_s=self.deadline_s,
            attempt_limits=ATTEMPT_LIMITS,
        )
        decision = route(demand, self.fleet, beliefs, request.at, spent={GPU: spent})
        if decision.warm_up:
            machine.warm_up(request.at)
        if decision.rental_spend is not None:
            self.rent.append((request.at, decision.rental_spend))
            self.total += decision.rental_spend
        return decision.backend or API

    def spent(self, since: float) -> Decimal:
        while self.rent and self.rent[0][0] < since:
            self.total -= self.rent.popleft()[1]
        return self.total


def believed(gpu: Backend, machine: Machine, at: float) -> BackendState:
    belief = initial_state(gpu)
    match machine.state(at):
        case Readiness.COLD:
            return belief
        case Readiness.UP:
            return replace(belief, warm_until=machine.gone)
        case Readiness.STARTING:
            until = machine.started + lease_s(belief.cold_p99_s)
            return replace(belief, warm_up=WarmUp(by="", since=machine.started, cold_at=machine.started, until=until))


type PolicyFactory = Callable[[], RoutingPolicy]
