"""May this execution of the orchestration run the turn?"""

from domain import wire
from state.turns.responses import TurnStore


class Begin:
    """Compares and swaps the response's execution: only one execution ever runs the turn."""

    def __init__(self, turns: TurnStore) -> None:
        self.turns = turns

    async def begin(self, request: wire.BeginWire) -> wire.BegunWire:
        owner = wire.owner_from_wire(request)
        is_mine = await self.turns.begin(owner, request["response"], execution=request["execution"])
        return {"mine": is_mine}
