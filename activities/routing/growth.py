"""Does a turn in line start one more instance of its backend?"""

from activities.routing.decision import DecidedRoute, RouteDecider
from activities.routing.warm_up import BackendWarmer
from domain.fleet.instances.lease import is_counted
from domain.money.sessions.transitions import FollowingAttempt
from domain.routing.further_rule import FurtherVerdict, further_verdict
from domain.routing.queueing import ROOM, QueuedTurn, QueueWait
from domain.routing.rent_or_buy import DEFAULT_RULE
from domain.turns.response import Response


class FleetGrowth:
    """Starts further instances of backends whose instances the product counts."""

    def __init__(self, decider: RouteDecider, warmer: BackendWarmer) -> None:
        self.decider = decider
        self.warmer = warmer

    async def start_where_it_pays(
        self, decided: DecidedRoute, turn: QueuedTurn, wait: QueueWait | None, response: Response
    ) -> FurtherVerdict | None:
        """Start one more instance where the turns in line pay for it; None where the turn is not in line."""
        chosen, rules = decided.route.chosen, decided.route.rules
        if chosen is None or wait is None or wait.cause != ROOM:
            return None
        backend = self.decider.backend(chosen.backend)
        if backend.max_instances == 1 or not is_counted(backend):
            return None
        callers = self.decider.fleet.callers.of_turn(response.owner.tenant, response.options.metadata)
        verdict = further_verdict(
            chosen,
            decided.backend_states[backend.name],
            backend,
            turn,
            now=decided.at,
            time_value=callers.time_value,
            left_s=response.deadline_at - decided.at,
            rule=rules[backend.name].rule if backend.name in rules else DEFAULT_RULE,
        )
        if verdict and verdict.starts:
            following = FollowingAttempt(worst_cost=chosen.worst_cost, uses_warm_up=False)
            await self.warmer.warm_up_further(backend, turn.response, owner=response.owner, following=following)
        return verdict
