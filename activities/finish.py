"""How does a turn end exactly once?"""

from activities.tools.caller_grants import CallerGrants
from domain import wire
from domain.fleet.catalog import Fleet
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from state.fleet.backend_state import BackendStates
from state.turns.responses import TurnStore

ANSWERED = frozenset({ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE})
"""With these the turn was at a backend, and has left every queue."""


class Finish:
    """Ends the response in one commit. A response that has ended already keeps its status."""

    def __init__(self, turns: TurnStore, backend_states: BackendStates, fleet: Fleet, grants: CallerGrants) -> None:
        self.turns = turns
        self.backend_states = backend_states
        self.fleet = fleet
        self.grants = grants

    async def finish(self, request: wire.FinishWire) -> wire.FinishedWire:
        response = await self.turns.finish(
            wire.owner_from_wire(request),
            request["response"],
            status=ResponseStatus(request["status"]),
            code=request["code"],
            message=request["message"],
        )
        await self.grants.drop(response)
        if request["status"] not in ANSWERED:
            await self.leave_queue(wire.owner_from_wire(request), response.id)
        return {"status": response.status.value}

    async def leave_queue(self, owner: Owner, response_id: str) -> None:
        """Give up the turn's place in the queue of the backend that its last route chose."""
        routes = await self.turns.routes(owner, response_id)
        backend = self.fleet.backends.get(routes[-1]["route"]["backend"] or "") if routes else None
        if backend:
            await self.backend_states.leave_queue(backend, response_id)
