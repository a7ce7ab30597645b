"""What was said before a turn, and what does its model read of it?"""

from collections.abc import Sequence

from clients.partitions import everything
from clients.store import Key, Store
from clients.turn_keys import ENTRIES, conversation_key, entry_id, response_key, turns_key
from domain.context import Turn, items_read
from domain.errors import NotFound
from domain.ids import thread_of
from domain.items import Item
from domain.owners import Owner
from domain.turns import Response


class Histories:
    """Reads items in the order in which they were said."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def items(self, owner: Owner, identifiers: Sequence[str]) -> tuple[Item, ...]:
        """Return the items in the order of their ids; raises NotFound naming the first that is missing."""
        found = await self.found(owner, identifiers)
        missing = [identifier for identifier in identifiers if identifier not in found]
        if missing:
            raise NotFound(f"Item with id '{missing[0]}' not found.")
        return tuple(found[identifier] for identifier in identifiers)

    async def found(self, owner: Owner, identifiers: Sequence[str]) -> dict[str, Item]:
        threads = dict.fromkeys(thread for identifier in identifiers if (thread := thread_of(identifier)))
        found: dict[str, Item] = {}
        for thread in threads:
            found |= await self.thread_items(owner, thread, identifiers)
        return found

    async def thread_items(self, owner: Owner, thread: str, identifiers: Sequence[str]) -> dict[str, Item]:
        wanted = {identifier for identifier in identifiers if thread_of(identifier) == thread}
        found: dict[str, Item] = {}
        for prefix in sorted({identifier.partition("_")[0] for identifier in wanted}):
            documents = await everything(self.store, turns_key(owner, thread), prefix=f"{prefix}_")
            found |= {d.id: Item.from_document(d.id, d.body) for d in documents if d.id in wanted}
        return found

    async def read(self, response: Response) -> tuple[Item, ...]:
        """Return what the model is to read: the past turns that fit, and this one's input."""
        past = await self.identifiers(response)
        found = await self.found(response.owner, [*response.input_items, *(name for turn in past for name in turn)])
        return items_read(present(past, found), present((response.input_items,), found)[0], left_out=response.left_out)

    async def past(self, response: Response) -> tuple[Turn, ...]:
        """Return every turn before this one, oldest first."""
        past = await self.identifiers(response)
        return present(past, await self.found(response.owner, [name for turn in past for name in turn]))

    async def identifiers(self, response: Response) -> Sequence[tuple[str, ...]]:
        """Return the ids of the items of every turn before this one, oldest first."""
        if response.conversation:
            return await self.entries(response)
        key = response_key(response.owner, response.id)
        documents = await everything(self.store, key, prefix="resp_") if response.previous else ()
        responses = {d.id: Response.from_document(d.id, d.body) for d in documents}
        turns: list[tuple[str, ...]] = []
        turn = responses.get(response.previous or "")
        while turn:
            turns.insert(0, (*turn.input_items, *turn.output_items))
            if turn.conversation:
                return [*await self.entries(turn), *turns]
            turn = responses.get(turn.previous or "")
        return turns

    async def entries(self, response: Response) -> Sequence[tuple[str, ...]]:
        key = conversation_key(response.owner, response.conversation or "")
        return await entries_before(self.store, key, response.reads_before)


async def entries_before(store: Store, key: Key, number: int) -> Sequence[tuple[str, ...]]:
    """Return the ids that the entries below a number put into a conversation, in their order."""
    documents = await everything(store, key, prefix=ENTRIES, before=entry_id(number))
    return [tuple(document.body["items"]) for document in documents]


def present(turns: Sequence[tuple[str, ...]], found: dict[str, Item]) -> tuple[Turn, ...]:
    """Return the turns' items, without those that were deleted."""
    return tuple(tuple(found[name] for name in turn if name in found) for turn in turns)
