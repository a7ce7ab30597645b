"""Will the turn want a backend that sleeps? Then its start begins now, beside everything else."""

from activities.routing.decision import RouteDecider
from activities.routing.request_size import size_of, with_added_tokens
from activities.routing.warm_up import BackendWarmer
from domain import wire
from domain.routing.route_record import route_to_document
from domain.routing.router import RouteDecision
from domain.turns.response import Response
from state.turns.responses import TurnStore

RETRIEVED_TOKENS = 4096
"""So much private data at most is expected to be added to a conversation that asks for some."""

NO_WARM_UP: wire.AnticipatedWire = {"backend": None, "woken": False}


class Anticipate:
    """Decides on the most that the turn may come to, as the exact size is not known yet."""

    def __init__(self, *, turns: TurnStore, decider: RouteDecider, warmer: BackendWarmer) -> None:
        self.turns = turns
        self.decider = decider
        self.warmer = warmer

    async def anticipate(self, request: wire.TurnWire) -> wire.AnticipatedWire:
        owner = wire.owner_from_wire(request)
        if not self.decider.any_backend_cold:
            return NO_WARM_UP
        response = await self.turns.read(owner, request["response"])
        size = size_of(response, await self.turns.history(response))
        most = with_added_tokens(size, more_tokens=RETRIEVED_TOKENS if response.options.sources else 0)
        decision = (await self.decider.decide(response, most, excluded={})).route
        if decision.warm_up is None:
            return NO_WARM_UP
        woken = await self.warm_up(decision, response)
        gives: wire.AnticipatedWire = {"backend": decision.warm_up, "woken": woken}
        await self.turns.record_route(
            owner, response.id, number=0, route={**route_to_document(decision), "woken": woken}, routed=gives
        )
        return gives

    async def warm_up(self, decision: RouteDecision, response: Response) -> bool:
        """Wake it. A turn that goes elsewhere meanwhile does not wait until the request has been held."""
        if decision.warm_up is None:
            return False
        backend = self.decider.fleet.backends[decision.warm_up]
        wait = decision.backend == decision.warm_up
        return await self.warmer.warm_up(backend, response.id, owner=response.owner, wait=wait)
