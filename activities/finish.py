"""How does a turn end, once?"""

from domain import wire
from domain.log.events import ResponseStatus
from state.turns.responses import TurnStore


class Finish:
    """Calls the one commit; where somebody else ended the turn, their ending stands."""

    def __init__(self, turns: TurnStore) -> None:
        self.turns = turns

    async def finish(self, given: wire.FinishWire) -> wire.FinishedWire:
        response = await self.turns.finish(
            wire.owner_from_wire(given),
            given["response"],
            status=ResponseStatus(given["status"]),
            code=given["code"],
            message=given["message"],
        )
        return {"status": response.status.value}
