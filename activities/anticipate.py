"""Will the turn want a backend that sleeps? Then its start begins now, beside everything else."""

from activities.routing.decision import RouteDecider
from activities.routing.request_size import at_most, size_of
from activities.routing.warm_up import BackendWarmer
from domain import wire
from domain.routing.route_record import route_to_document
from domain.routing.router import RouteDecision
from domain.turns.response import Response
from state.turns.responses import TurnStore

RETRIEVED_TOKENS = 4096
"""So much private data at most is expected to be added to a conversation that asks for some."""

NOBODY: wire.AnticipatedWire = {"backend": None, "woken": False}


class Anticipate:
    """Decides on the most that the turn may come to, as the exact size is not known yet."""

    def __init__(self, *, turns: TurnStore, deciding: RouteDecider, waking: BackendWarmer) -> None:
        self.turns = turns
        self.deciding = deciding
        self.waking = waking

    async def anticipate(self, given: wire.TurnWire) -> wire.AnticipatedWire:
        owner = wire.owner_from_wire(given)
        if not self.deciding.any_backend_cold:
            return NOBODY
        response = await self.turns.read(owner, given["response"])
        size = size_of(response, await self.turns.history(response))
        most = at_most(size, more_tokens=RETRIEVED_TOKENS if response.sources else 0)
        decision = (await self.deciding.decide(response, most, excluded={})).route
        if decision.warm_up is None:
            return NOBODY
        woken = await self.wake(decision, response)
        gives: wire.AnticipatedWire = {"backend": decision.warm_up, "woken": woken}
        await self.turns.record_route(
            owner, response.id, number=0, route={**route_to_document(decision), "woken": woken}, routed=gives
        )
        return gives

    async def wake(self, decision: RouteDecision, response: Response) -> bool:
        """Wake it. A turn that goes elsewhere meanwhile does not wait until the request has been held."""
        if decision.warm_up is None:
            return False
        backend = self.deciding.fleet.backends[decision.warm_up]
        wait = decision.backend == decision.warm_up
        return await self.waking.warm_up(backend, response.id, owner=response.owner, wait=wait)
