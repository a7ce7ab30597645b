"""Does a turn in line, or one that goes elsewhere, start more instances of a backend?"""

from collections.abc import Iterator

from activities.routing.decision import DecidedRoute, RouteDecider
from activities.routing.warm_up import BackendWarmer
from domain.fleet.instances.inferred import grows_itself
from domain.fleet.instances.lease import is_counted
from domain.fleet.instances.numbered import backend_of
from domain.money.sessions.transitions import FollowingAttempt
from domain.routing.candidates import Candidate
from domain.routing.further_rule import FurtherTerms, FurtherVerdict, further_verdict, next_instance
from domain.routing.queueing import ROOM, QueuedTurn, QueueWait
from domain.routing.rent_or_buy import DEFAULT_RULE, NOTHING
from domain.turns.response import Response


class FleetGrowth:
    """Starts further instances of backends that may have several."""

    def __init__(self, decider: RouteDecider, warmer: BackendWarmer) -> None:
        self.decider = decider
        self.warmer = warmer

    async def start_where_it_pays(
        self, decided: DecidedRoute, turn: QueuedTurn, wait: QueueWait | None, response: Response
    ) -> FurtherVerdict | None:
        """Start instances where they pay for themselves; None where every backend has room for the turn."""
        verdict: FurtherVerdict | None = None
        for found in without_room(decided, wait):
            verdict = await self.verdict(found, decided, turn, response) or verdict
            if verdict and verdict.starts:
                break
        return verdict

    async def verdict(
        self, found: Candidate, decided: DecidedRoute, turn: QueuedTurn, response: Response
    ) -> FurtherVerdict | None:
        backend, rules = self.decider.backend(found.backend), decided.route.rules
        if not (backend.max_instances > 1 and (is_counted(backend) or grows_itself(backend))):
            return None
        state = decided.backend_states[backend.name]
        name = next_instance(backend, state, decided.at) or ""
        terms = FurtherTerms(
            now=decided.at,
            time_value=self.decider.fleet.callers.of_turn(response.owner.tenant, response.options.metadata).time_value,
            left_s=response.deadline_at - decided.at,
            rule=rules[backend.name].rule if backend.name in rules else DEFAULT_RULE,
            spent=decided.spent.get(name, NOTHING) + decided.overflow.get(name, NOTHING),
        )
        verdict = further_verdict(found, state, backend, turn, terms)
        if verdict and verdict.starts:
            following = FollowingAttempt(worst_cost=found.worst_cost, uses_warm_up=False)
            await self.warmer.warm_up_further(
                backend,
                turn.response,
                owner=response.owner,
                following=following,
                more=verdict.more,
                why=verdict.growth_reason,
            )
        return verdict


def without_room(decided: DecidedRoute, wait: QueueWait | None) -> Iterator[Candidate]:
    """Yield the backends without room for the turn: the one that it waits for, and those that would be better."""
    full = {backend_of(name) for name in decided.overflow}
    for each in decided.route.candidates:
        is_waited_for = each is decided.route.chosen and wait is not None and wait.cause == ROOM
        if is_waited_for or each.backend in full:
            yield each
