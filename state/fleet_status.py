"""What does each backend do now, what has its GPU session cost, and which rule decides on the next one?

One summary serves all viewers of a process: it is read again when it is a second old.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from clients.clock import Clock
from clients.single_flight import SingleFlight
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend, Fleet
from domain.money.sessions.gpu_sessions import GpuSession
from domain.routing.rent_or_buy import DEFAULT_RULE, Rule, unspent, window_s
from domain.routing.rule_choice import RuleChoice
from state.fleet.backend_state import BackendStates, last_starts
from state.fleet.rental_rules import RentalRules
from state.fleet.rental_spend import RentalSpend
from state.money.gpu_sessions import GpuSessions
from state.money.recent_sessions import EndedSession, RecentSessions

FRESH_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSummary:
    """A backend with what is known of it; one that never sleeps has no session, no spend and no rule.

    `spent` is the rental spend in dollars that the next decision counts, in the window of the `rule` in force.
    `ended` are the GPU sessions of the last day that are over, oldest first.
    `adopted` is how that rule was chosen; None as long as the default rule is in force without a choice.
    """

    backend: Backend
    state: BackendState
    session: GpuSession | None = None
    spent: Decimal | None = None
    rule: Rule = DEFAULT_RULE
    adopted: RuleChoice | None = None
    ended: tuple[EndedSession, ...] = ()

    @property
    def rule_window_s(self) -> float:
        return self.rule.window * window_s(self.backend)


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSummary:
    """The backends at a time in seconds since the epoch."""

    at: float
    backends: tuple[BackendSummary, ...]


class FleetStatus:
    """Reads the state, the session and the rental spend of every backend, at most once a second."""

    def __init__(
        self,
        *,
        states: BackendStates,
        sessions: GpuSessions,
        rental_spend: RentalSpend,
        rules: RentalRules,
        recent_sessions: RecentSessions,
        fleet: Fleet,
        clock: Clock,
    ) -> None:
        self.states = states
        self.sessions = sessions
        self.rental_spend = rental_spend
        self.rules = rules
        self.recent_sessions = recent_sessions
        self.fleet = fleet
        self.clock = clock
        self.latest: FleetSummary | None = None
        self.reading = SingleFlight(self.read)

    async def summary(self) -> FleetSummary:
        """Return a summary that is at most a second old."""
        if self.latest is None or not 0 <= self.clock.now() - self.latest.at < FRESH_S:
            self.latest = await self.reading.result()
        return self.latest

    async def read(self) -> FleetSummary:
        at, backends = self.clock.now(), self.fleet.backends
        rules = await self.rules.in_force(each for each in backends.values() if each.cold_start.scales_to_zero)
        states = await self.states.read(backends)
        found = (self.read_backend(each, states, rules.get(name)) for name, each in backends.items())
        return FleetSummary(at=at, backends=tuple(await asyncio.gather(*found)))

    async def read_backend(
        self, backend: Backend, states: Mapping[str, BackendState], adopted: RuleChoice | None
    ) -> BackendSummary:
        state = states[backend.name]
        if not backend.cold_start.scales_to_zero:
            return BackendSummary(backend=backend, state=state)
        rule = adopted.rule if adopted else DEFAULT_RULE
        stored, ended, parts = await asyncio.gather(
            self.sessions.current(backend),
            self.recent_sessions.of(backend),
            self.rental_spend.recent(backend, window_s=window_s(backend), reach=rule.window),
        )
        spent = unspent(parts, last_starts(states))
        return BackendSummary(
            backend=backend,
            state=state,
            session=stored.session,
            spent=spent,
            rule=rule,
            adopted=adopted,
            ended=ended,
        )
