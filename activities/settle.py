"""What did the turn cost in the end?"""

from clients.ledger import Ledger
from domain import wire


class Settle:
    """Closes the reservation at what the attempts cost."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def settle(self, given: wire.TurnWire) -> wire.SettledWire:
        cost = await self.ledger.settle(wire.owner_of(given), given["response"])
        return {"cost": str(cost)}
