"""Which private data does the model read with the conversation?"""

from collections.abc import Sequence

from clients.sources.reader import SourceReader
from domain.content.items import Item, ItemKind, Role
from domain.turns.response import Response
from state.turns.responses import TurnStore


class Retrieve:
    """Reads all sources of the turn at the same time and records their data. A repeat returns the recorded data."""

    def __init__(self, turns: TurnStore, reader: SourceReader) -> None:
        self.turns = turns
        self.reader = reader

    async def text(self, response: Response) -> str:
        """Return the text for the model; empty where the turn has no sources or they have no data."""
        if not response.options.sources:
            return ""
        recorded = await self.turns.retrieved_context.text(response)
        if recorded is not None:
            return recorded
        items = await self.turns.items(response.owner, response.input_items)
        fetched = await self.reader.read(response.options.sources, response.owner, last_user_text(items))
        return await self.turns.retrieved_context.record(response, fetched)


def last_user_text(items: Sequence[Item]) -> str:
    """Return the user's last text, the only text from which keywords are taken."""
    return next((item.text for item in reversed(items) if is_user_message(item)), "")


def with_private_data(items: Sequence[Item], text: str) -> tuple[Item, ...]:
    """Return the conversation with the private data before the user's last message."""
    if not text:
        return tuple(items)
    index = next((at for at in range(len(items) - 1, -1, -1) if is_user_message(items[at])), 0)
    return (*items[:index], Item(id="", role=Role.USER, text=text), *items[index:])


def is_user_message(item: Item) -> bool:
    return item.kind is ItemKind.MESSAGE and item.role is Role.USER
