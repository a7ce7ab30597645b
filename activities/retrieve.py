"""What private data is the model to read beside the conversation?"""

from collections.abc import Sequence

from clients.sources.reader import SourceReader
from domain.content.items import Item, ItemKind, Role
from domain.turns.response import Response
from state.turns.responses import TurnStore


class Retrieve:
    """Reads the turn's sources at once and writes down what they gave; a repeat finds it there."""

    def __init__(self, turns: TurnStore, reader: SourceReader) -> None:
        self.turns = turns
        self.reader = reader

    async def text(self, response: Response) -> str:
        """Return what the model is to read; empty where the turn has no sources or none gave anything."""
        if not response.options.sources:
            return ""
        known = await self.turns.retrieved_context.text(response)
        if known is not None:
            return known
        asked = await self.turns.items(response.owner, response.input_items)
        fetched = await self.reader.read(response.options.sources, response.owner, last_user_text(asked))
        return await self.turns.retrieved_context.record(response, fetched)


def last_user_text(items: Sequence[Item]) -> str:
    """Return the last text of the user: the only one in which keywords are looked for."""
    return next((item.text for item in reversed(items) if is_user_message(item)), "")


def with_private_data(items: Sequence[Item], text: str) -> tuple[Item, ...]:
    """Return the conversation with the private data in front of what the user said last."""
    if not text:
        return tuple(items)
    place = next((index for index in range(len(items) - 1, -1, -1) if is_user_message(items[index])), 0)
    return (*items[:place], Item(id="", role=Role.USER, text=text), *items[place:])


def is_user_message(item: Item) -> bool:
    return item.kind is ItemKind.MESSAGE and item.role is Role.USER
