"""How does an operator start a backend ahead of a turn, and what may that cost?"""

from collections.abc import Mapping
from decimal import Decimal

from azurefunctions.extensions.http.fastapi import Request, Response

from activities.routing.warm_up import BackendWarmer
from api.endpoints.reports.parameters import read_flag, require_role
from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.rendering.response import Json
from clients.clock import Clock
from domain.errors import Exhausted, NotFound, Unavailable
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend, Fleet
from domain.fleet.instances.held_backend import held
from domain.fleet.status import BackendStatus, status_of
from domain.identity.owners import Owner
from domain.identity.roles import AppRole
from domain.ids import operator_warm_up_id
from domain.money.prices import TimePrice
from domain.money.sessions.provisional_charges import dollars, provisional_warm_up
from state.money.ledger import Ledger
from state.rate_limits import RateLimiter


class WarmUps:
    """The HTTP function that starts a backend. The caller is charged like a turn that warms a backend up."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        fleet: Fleet,
        warmer: BackendWarmer,
        ledger: Ledger,
        limits: RateLimiter,
        clock: Clock,
    ) -> None:
        self.authenticator = authenticator
        self.fleet = fleet
        self.warmer = warmer
        self.ledger = ledger
        self.limits = limits
        self.clock = clock

    async def warm_up(self, req: Request) -> Response:
        """`POST /v1/fleet/{backend}/warm_up`: a backend that starts or is warm already is left alone, at no cost."""
        owner = await owner_of(req, self.authenticator)
        require_role(owner, AppRole.OPERATIONS_WARM_UP)
        backend = sleeping_backend(self.fleet.backends, req.path_params["backend"])
        dry_run = read_flag(req.query_params, "dry_run")
        state = await self.state_of(backend)
        worst, sent = worst_cost(backend, state), ""
        if status_of(backend, state, self.clock.now()) is BackendStatus.ASLEEP:
            identifier = operator_warm_up_id(self.clock.token())
            await self.ledger.budget_counters.check(owner, identifier, worst)
            if not dry_run and await self.start(owner, backend, identifier):
                sent, state = identifier, await self.state_of(backend)
        return json_answer(warm_up_object(backend, state, sent, worst, self.clock.now()))

    async def start(self, owner: Owner, backend: Backend, identifier: str) -> bool:
        """Return whether this request started the backend; raises Unavailable or Exhausted where it could not."""
        began = self.clock.now()
        await self.limits.take(owner)
        if not await self.warmer.warm_up(backend, identifier, owner=owner, wait=True):
            return False
        now, state = self.clock.now(), await self.state_of(backend)
        if status_of(backend, state, now) is BackendStatus.ASLEEP:
            left = await self.ledger.budget_counters.left(owner, identifier)
            raise not_started(backend, state, began=began, now=now, left=left)
        return True

    async def state_of(self, backend: Backend) -> BackendState:
        return (await self.warmer.backend_states.read({backend.name: backend}))[backend.name]


def sleeping_backend(backends: Mapping[str, Backend], name: str) -> Backend:
    """Return a backend that scales to zero, with the idle period that is paid; raises NotFound for any other name."""
    backend = backends.get(name)
    if backend is None or not backend.cold_start.scales_to_zero:
        raise NotFound(f"The fleet has no backend '{name}' that scales to zero.")
    return held(backend)


def not_started(
    backend: Backend, state: BackendState, *, began: float, now: float, left: Decimal | None
) -> Unavailable | Exhausted:
    """Return why the warm-up of a request that `began` then was not sent, or started nothing.

    `left` are the dollars that all budgets leave, None without a limit.
    """
    failed = state.warmth.failed_warm_up
    if failed and failed.at >= began:
        return Unavailable(f"{backend.name} could not be started: {failed.reason}", delay_s=failed.again_at - now)
    if left is not None and left < worst_cost(backend, state):
        return Exhausted(f"A budget has no room left for a warm-up of {backend.name}.")
    return Unavailable(f"The warm-up of {backend.name} could not be charged, and was not sent. Try again.", delay_s=1.0)


def worst_cost(backend: Backend, state: BackendState) -> Decimal:
    """Return what a warm-up costs that no turn uses, in dollars: the slowest start and the whole idle period.

    A backend that is paid by its tokens costs nothing until a turn uses it.
    """
    if not isinstance(backend.price, TimePrice):
        return Decimal(0)
    return sum(dollars(provisional_warm_up(backend.price, state.start_times.p99_s)).values(), Decimal(0))


def warm_up_object(backend: Backend, state: BackendState, sent: str, worst: Decimal, now: float) -> Json:
    """Return the state of the backend after the request; `id` is empty where this request started nothing.

    `worst_usd` is the most that a warm-up may be charged. It falls as turns use the machine.
    """
    return {
        "object": "warm_up",
        "id": sent,
        "backend": backend.name,
        "status": status_of(backend, state, now).value,
        "sent": bool(sent),
        "expected_start_s": state.start_times.p50_s,
        "worst_start_s": state.start_times.p99_s,
        "idle_s": backend.price.idle_s if isinstance(backend.price, TimePrice) else None,
        "worst_usd": f"{worst:.9f}",
    }
