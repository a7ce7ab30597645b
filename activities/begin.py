"""Is it this execution's turn?"""

from domain import wire
from state.turns.responses import TurnStore


class Begin:
    """A compare-and-swap on the response: of all executions that ever start, one goes on."""

    def __init__(self, turns: TurnStore) -> None:
        self.turns = turns

    async def begin(self, given: wire.BeginWire) -> wire.BegunWire:
        owner = wire.owner_from_wire(given)
        mine = await self.turns.begin(owner, given["response"], execution=given["execution"])
        return {"mine": mine}
