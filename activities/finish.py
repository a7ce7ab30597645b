"""How does a turn end exactly once?"""

from domain import wire
from domain.log.events import ResponseStatus
from state.turns.responses import TurnStore


class Finish:
    """Ends the response in one commit. A response that has ended already keeps its status."""

    def __init__(self, turns: TurnStore) -> None:
        self.turns = turns

    async def finish(self, request: wire.FinishWire) -> wire.FinishedWire:
        response = await self.turns.finish(
            wire.owner_from_wire(request),
            request["response"],
            status=ResponseStatus(request["status"]),
            code=request["code"],
            message=request["message"],
        )
        return {"status": response.status.value}
