"""How big is the conversation that the model is to read?"""

import asyncio

from activities.retrieve import Retrieve, with_private_data
from activities.routing.request_size import size_of
from domain import wire
from domain.turns.response import Response
from state.turns.responses import TurnStore


class Recall:
    """Measures the conversation, and fetches private data meanwhile; the content of both stays in the store."""

    def __init__(self, turns: TurnStore, retrieve: Retrieve | None = None) -> None:
        self.turns = turns
        self.retrieve = retrieve

    async def recall(self, given: wire.TurnWire) -> wire.RecalledWire:
        response = await self.turns.read(wire.owner_from_wire(given), given["response"])
        items, private = await asyncio.gather(self.turns.history(response), self.private_data(response))
        return {"size": size_of(response, with_private_data(items, private)), "messages": len(items)}

    async def private_data(self, response: Response) -> str:
        return await (self.retrieve.text(response) if self.retrieve else self.turns.given.decided(response))
