"""What does each backend do now, what has its GPU session cost, and which rule decides on the next one?

One summary serves all viewers of a process: it is read again when it is a second old. States and open sessions take
three queries, however many backends there are. What changes slowly is read in turns, for a few backends at a time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from copy import replace
from decimal import Decimal

from msgspec import Struct

from clients.clock import Clock
from clients.single_flight import SingleFlight
from domain.fleet.backend_state import BackendState, last_starts
from domain.fleet.catalog import Backend, Fleet
from domain.fleet.instances.held_backend import held
from domain.fleet.instances.numbered import instances_of
from domain.money.sessions.gpu_sessions import GpuSession
from domain.routing.rent_or_buy import DEFAULT_RULE, Rule, SpendPart, unspent, window_s
from domain.routing.rules.rule_choice import RuleChoice
from state.fleet.backend_state import BackendStates
from state.fleet.rental_rules import RentalRules
from state.fleet.rental_spend import RentalSpend
from state.money.recent_sessions import MOST, EndedSession, RecentSessions
from state.money.session_sharers import SessionSharers, SharerReader

FRESH_S = 1.0
IN_TURN, SHARED_IN_TURN = 3, 2
"""Of so many backends a summary reads the rental spend and the rule again, and of so many sessions the sharers: those
that were read first."""


class InstanceSession(Struct, frozen=True, kw_only=True):
    """The open session of one of several instances, whose numbers count from 0, and its sharers as below."""

    number: int
    session: GpuSession
    sharers: SessionSharers | None = None


class BackendSummary(Struct, frozen=True, kw_only=True):
    """A backend with what is known of it; one that never sleeps has no session, no spend and no rule.

    `spent` is the rental spend in dollars that the next decision counts, in the window of the `rule` in force.
    `sharers` are those of the open session; None where they were not read yet, or are too many.
    `ended` are the GPU sessions of the last day that are over, oldest first. `instances` has the open sessions of a
    backend that may have several instances; `session` is that of the first one.
    `adopted` is how that rule was chosen; None as long as the default rule is in force without a choice.
    """

    backend: Backend
    state: BackendState
    session: GpuSession | None = None
    spent: Decimal | None = None
    rule: Rule = DEFAULT_RULE
    adopted: RuleChoice | None = None
    sharers: SessionSharers | None = None
    ended: tuple[EndedSession, ...] = ()
    instances: tuple[InstanceSession, ...] = ()

    @property
    def rule_window_s(self) -> float:
        return self.rule.window * window_s(self.backend, self.state.start_times.p50_s)


class FleetSummary(Struct, frozen=True, kw_only=True):
    """The backends at a time in seconds since the epoch."""

    at: float
    backends: tuple[BackendSummary, ...]


class FleetStatus:
    """Reads the state, the session and the rental spend of every backend, at most once a second."""

    def __init__(
        self,
        *,
        states: BackendStates,
        rental_spend: RentalSpend,
        rules: RentalRules,
        recent_sessions: RecentSessions,
        sharers: SharerReader,
        fleet: Fleet,
        clock: Clock,
    ) -> None:
        self.states = states
        self.rental_spend = rental_spend
        self.rules = rules
        self.recent_sessions = recent_sessions
        self.sharers = sharers
        self.fleet = fleet
        self.clock = clock
        self.latest: FleetSummary | None = None
        self.reading = SingleFlight(self.read)
        self.spent: dict[str, Sequence[SpendPart]] = {}

    async def summary(self) -> FleetSummary:
        """Return a summary that is at most a second old."""
        if self.latest is None or not 0 <= self.clock.now() - self.latest.at < FRESH_S:
            self.latest = await self.reading.result()
        return self.latest

    async def read(self) -> FleetSummary:
        at, backends = self.clock.now(), self.fleet.backends
        sleepers = [each for each in backends.values() if each.cold_start.scales_to_zero]
        states, opened, rules = await asyncio.gather(
            self.states.read(backends),
            self.recent_sessions.opened(),
            self.rules.in_force(sleepers, most=IN_TURN),
        )
        paid = {name: held(each, rule_of(rules.get(name)).idle_s) for name, each in backends.items()}
        sharers, _ = await asyncio.gather(
            self.sharers.of(opened, machines_of(backends), most=SHARED_IN_TURN),
            self.read_spent([paid[each.name] for each in sleepers], states, rules),
        )
        found = (self.read_backend(each, states, opened, rules.get(name)) for name, each in paid.items())
        summaries = await asyncio.gather(*found)
        return FleetSummary(at=at, backends=tuple(with_sharers(each, sharers) for each in summaries))

    async def read_spent(
        self, sleepers: Sequence[Backend], states: Mapping[str, BackendState], rules: Mapping[str, RuleChoice]
    ) -> None:
        """Read the rental spend of all backends that have none yet, or of those whose spend was read first."""
        new = [each for each in sleepers if each.name not in self.spent]
        order = list(self.spent)
        next_ones = new or sorted(sleepers, key=lambda each: order.index(each.name))[:IN_TURN]
        parts = await asyncio.gather(
            *(self.spent_parts(each, states[each.name], rules.get(each.name)) for each in next_ones)
        )
        for each, found in zip(next_ones, parts, strict=True):
            self.spent.pop(each.name, None)
            self.spent[each.name] = found

    async def spent_parts(
        self, backend: Backend, state: BackendState, adopted: RuleChoice | None
    ) -> Sequence[SpendPart]:
        window = window_s(backend, state.start_times.p50_s)
        return await self.rental_spend.recent(backend, window_s=window, reach=rule_of(adopted).window)

    async def read_backend(
        self,
        backend: Backend,
        states: Mapping[str, BackendState],
        opened: Mapping[str, GpuSession],
        adopted: RuleChoice | None,
    ) -> BackendSummary:
        state = states[backend.name]
        if not backend.cold_start.scales_to_zero:
            return BackendSummary(backend=backend, state=state)
        return BackendSummary(
            backend=backend,
            state=state,
            session=opened.get(backend.name),
            spent=unspent(self.spent[backend.name], last_starts(states)),
            rule=rule_of(adopted),
            adopted=adopted,
            ended=await self.ended(backend, opened, state),
            instances=instance_sessions(backend, opened),
        )

    async def ended(
        self, backend: Backend, opened: Mapping[str, GpuSession], state: BackendState
    ) -> tuple[EndedSession, ...]:
        """Return the latest sessions of all instances that are over, oldest first."""
        machines, read = instances_of(backend), self.recent_sessions.ended
        found = await asyncio.gather(*(read(each, opened.get(each.name), state.warmth) for each in machines))
        if len(found) == 1:
            return found[0]
        return tuple(sorted((each for one in found for each in one), key=lambda each: each.session.started)[-MOST:])


def machines_of(backends: Mapping[str, Backend]) -> Mapping[str, Backend]:
    """Return the instances of all backends by their names."""
    return {one.name: one for each in backends.values() for one in instances_of(each)}


def instance_sessions(backend: Backend, opened: Mapping[str, GpuSession]) -> tuple[InstanceSession, ...]:
    if backend.max_instances == 1:
        return ()
    names = [each.name for each in instances_of(backend)]
    found = ((number, opened.get(name)) for number, name in enumerate(names))
    return tuple(InstanceSession(number=number, session=each) for number, each in found if each)


def with_sharers(summary: BackendSummary, sharers: Mapping[str, SessionSharers]) -> BackendSummary:
    instances = (replace(each, sharers=sharers.get(each.session.backend)) for each in summary.instances)
    return replace(summary, sharers=sharers.get(summary.backend.name), instances=tuple(instances))


def rule_of(adopted: RuleChoice | None) -> Rule:
    return adopted.rule if adopted else DEFAULT_RULE
