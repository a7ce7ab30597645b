"""May this execution of the orchestration run the turn, and which approved calls does it run first?"""

from domain import wire
from domain.content.items import ItemKind
from state.turns.responses import TurnStore


class Begin:
    """Compares and swaps the response's execution: only one execution ever runs the turn."""

    def __init__(self, turns: TurnStore) -> None:
        self.turns = turns

    async def begin(self, request: wire.BeginWire) -> wire.BegunWire:
        owner = wire.owner_from_wire(request)
        is_mine = await self.turns.begin(owner, request["response"], execution=request["execution"])
        begun: wire.BegunWire = {"mine": is_mine}
        if is_mine and (await self.turns.read(owner, request["response"])).approved:
            log = await self.turns.transcript(owner, request["response"])
            begun["calls"] = [item.id for item in log.items if item.kind is ItemKind.MCP_CALL and not item.round]
        return begun
