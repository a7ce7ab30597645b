"""How big is the conversation that the model has to read?"""

import asyncio

from activities.retrieve import Retrieve
from activities.routing.request_size import added_size, size_of, with_added
from domain import wire
from state.turns.responses import TurnStore


class Recall:
    """Measures the conversation and retrieves private data at the same time. Their content stays in the store."""

    def __init__(self, turns: TurnStore, retrieve: Retrieve) -> None:
        self.turns = turns
        self.retrieve = retrieve

    async def recall(self, request: wire.TurnWire) -> wire.RecalledWire:
        response = await self.turns.read(wire.owner_from_wire(request), request["response"])
        items, private_data = await asyncio.gather(self.turns.history(response), self.retrieve.text(response))
        size = with_added(size_of(response, items), added_size([private_data]))
        return {"size": size, "messages": len(items)}
