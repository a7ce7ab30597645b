"""Will the turn use a cold backend? If so, its warm-up starts now, in parallel with the other steps."""

from activities.routing.decision import RouteDecider, following_attempt
from activities.routing.request_size import size_of, with_added_tokens
from activities.routing.warm_up import BackendWarmer
from domain import wire
from domain.routing.route_record import route_to_document
from domain.turns.response import Response
from state.turns.responses import TurnStore

MAX_RETRIEVED_TOKENS = 4096
"""How much private data a conversation with sources is expected to get at most."""

NO_WARM_UP: wire.AnticipatedWire = {"backend": None, "woken": False}


class Anticipate:
    """Decides for the largest size that the turn can have, since the exact size is not known yet."""

    def __init__(self, *, turns: TurnStore, decider: RouteDecider, warmer: BackendWarmer) -> None:
        self.turns = turns
        self.decider = decider
        self.warmer = warmer

    async def anticipate(self, request: wire.TurnWire) -> wire.AnticipatedWire:
        if not self.decider.scaling_backends:
            return NO_WARM_UP
        owner = wire.owner_from_wire(request)
        response = await self.turns.read(owner, request["response"])
        decided = await self.decider.decide(response, await self.largest_size(response), excluded={})
        decision = decided.route
        if decision.warm_up is None:
            return NO_WARM_UP
        is_woken = await self.warmer.warm_up(
            self.decider.backend(decision.warm_up),
            response.id,
            owner=owner,
            wait=decision.backend == decision.warm_up,
            following=following_attempt(decision),
        )
        result: wire.AnticipatedWire = {"backend": decision.warm_up, "woken": is_woken}
        document = {**route_to_document(decision), "woken": is_woken, "decided_at": decided.at}
        await self.turns.record_route(owner, response.id, number=0, route=document, routed=result)
        return result

    async def largest_size(self, response: Response) -> wire.SizeWire:
        size = size_of(response, await self.turns.history(response))
        return with_added_tokens(size, MAX_RETRIEVED_TOKENS if response.options.sources else 0)
