"""Is it this execution's turn?"""

from domain import wire
from state.turns.responses import TurnStore


class Begin:
    """A compare-and-swap on the response: of all executions that ever start, one goes on."""

    def __init__(self, turns: TurnStore) -> None:
        self.turns = turns

    async def begin(self, request: wire.BeginWire) -> wire.BegunWire:
        owner = wire.owner_from_wire(request)
        mine = await self.turns.begin(owner, request["response"], execution=request["execution"])
        return {"mine": mine}
