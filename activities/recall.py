"""How big is the conversation that the model is to read?"""

from clients.turns import Turns
from domain import wire
from domain.sizing import tokens_in_request


class Recall:
    """Measures the conversation; its content stays in the store."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    async def recall(self, given: wire.TurnWire) -> wire.RecalledWire:
        response = await self.turns.read(wire.owner_of(given), given["response"])
        items = await self.turns.history(response)
        texts = [response.instructions or "", *(item.text for item in items)]
        tokens = tokens_in_request(texts)
        size: wire.SizeWire = {
            "expected": tokens.expected,
            "likely": tokens.likely,
            "ceiling": tokens.ceiling,
            "bytes": sum(len(text.encode()) for text in texts),
        }
        return {"size": size, "messages": len(items)}
