"""How does a turn end, once?"""

from domain import wire
from domain.log.events import Status
from state.turns.responses import Turns


class Finish:
    """Calls the one commit; where somebody else ended the turn, their ending stands."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    async def finish(self, given: wire.FinishWire) -> wire.FinishedWire:
        response = await self.turns.finish(
            wire.owner_of(given),
            given["response"],
            status=Status(given["status"]),
            code=given["code"],
            message=given["message"],
        )
        return {"status": response.status.value}
