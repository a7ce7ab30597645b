"""Which earlier turns does the model of a turn read, and how are their items found?

However long a conversation is, only the turns that the model reads are fetched, and at most one block before them.
"""

from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Sequence

from clients.storage.item_parts import items_from
from clients.storage.keys import ENTRIES, conversation_key, entry_id, response_key, turns_key
from clients.storage.paging import list_all, read_many
from clients.storage.port import Document, DocumentKey, DocumentStore
from domain.content.items import Item
from domain.errors import NotFound
from domain.identity.owners import Owner
from domain.ids import thread_of
from domain.turns.context_window import Turn, items_read
from domain.turns.conversations import PREFIXES
from domain.turns.history_index import BLOCK, HistoryIndex
from domain.turns.old_results import without_results
from domain.turns.response import Response

type Names = tuple[str, ...]
"""The ids of one turn's items."""

FEW = 4
"""Up to this many items are read one by one, more of them as a range."""

MANY = 1000

KINDS = frozenset(PREFIXES.values())
"""The prefixes of item ids; ids with other prefixes contain a thread too."""

LAST = "~"
"""Sorts after every continuation of an id."""


class HistoryReader:
    """Reads the items of a turn and of the turns before it, in their order."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store

    async def items(self, owner: Owner, identifiers: Sequence[str]) -> tuple[Item, ...]:
        """Return the items in the order of their ids; raises NotFound naming the first that is missing."""
        found = await self.existing_items(owner, identifiers)
        missing = [identifier for identifier in identifiers if identifier not in found]
        if missing:
            raise NotFound.by_id("Item", missing[0])
        return tuple(found[identifier] for identifier in identifiers)

    async def existing_items(self, owner: Owner, identifiers: Iterable[str]) -> dict[str, Item]:
        kinds: dict[tuple[str, str], set[str]] = {}
        for identifier in identifiers:
            thread, kind = thread_of(identifier), identifier.partition("_")[0]
            if thread and kind in KINDS:
                kinds.setdefault((thread, kind), set()).add(identifier)
        found: dict[str, Item] = {}
        for (thread, _), wanted in kinds.items():
            found |= await self.items_in(turns_key(owner, thread), sorted(wanted))
        return found

    async def items_in(self, key: DocumentKey, wanted: Sequence[str]) -> dict[str, Item]:
        """Return items of one kind; items that were created together have neighbouring ids."""
        if len(wanted) <= FEW:
            documents = [each for each in await read_many(self.store, key, wanted) if each]
        else:
            documents = await self.documents_in(key, wanted)
        return {item.id: item for item in await items_from(self.store, key, documents)}

    async def documents_in(self, key: DocumentKey, wanted: Sequence[str]) -> Sequence[Document]:
        """Return documents of one kind, page by page; a gap between wanted ids that exceeds a page is skipped."""
        prefix, size = f"{wanted[0].partition('_')[0]}_", 2 * len(wanted)
        names, documents, start, last = set(wanted), list[Document](), 0, ""
        while start < len(wanted):
            page = await self.store.list(key, prefix=prefix, after=max(last, wanted[start][:-1]), limit=size)
            documents += [each for each in page if each.id in names]
            if len(page) < size:
                break
            last = page[-1].id
            start = bisect_right(wanted, last)
        return documents

    async def read(self, response: Response) -> tuple[Item, ...]:
        """Return what the model reads: the earlier turns that fit its context window, and this turn's input."""
        if response.history.index is None:
            past, left_out = await self.all_turns(response), response.history.left_out
        else:
            past, left_out = (
                await self.recent_turns(response, response.history.index),
                int(response.history.left_out > 0),
            )
        found = await self.existing_items(
            response.owner, [*response.input_items, *(name for turn in past for name in turn)]
        )
        turns, results_out = present(past, found), response.history.results_out
        turns = (*turns[:left_out], *without_results(turns[left_out:], results_out))
        return items_read(turns, present((response.input_items,), found)[0], left_out=left_out)

    async def all_turns(self, response: Response) -> Sequence[Names]:
        """Return every turn before this one, oldest first."""
        past: list[Names] = []
        async for block in self.earlier_turns(response, most=MANY):
            past[:0] = block
        return past

    async def recent_turns(self, response: Response, index: HistoryIndex) -> Sequence[Names]:
        """Return the turns that are not left out, preceded by one entry with the lasting items of the others."""
        count = index.depth - response.history.left_out
        kept: Sequence[Names] = ()
        async for block in self.earlier_turns(response, most=count):
            kept = [*block, *kept][-count:] if count else []
            if len(kept) >= count:
                break
        if not response.history.left_out:
            return kept
        already_read = {*response.input_items, *(name for turn in kept for name in turn)}
        return [tuple(name for name in index.lasting if name not in already_read), *kept]

    async def earlier_turns(self, response: Response, *, most: int = BLOCK) -> AsyncIterator[Sequence[Names]]:
        """Yield the turns before a response: the newest block first, each block oldest first."""
        if response.history.conversation:
            key = conversation_key(response.owner, response.history.conversation)
            async for entries in self.entry_blocks(key, response.history.reads_before, most=most):
                yield entries
            return
        known: dict[str, Response] = {}
        turn = await self.predecessor(response, known)
        while turn:
            block: list[Names] = []
            last = turn
            while turn and len(block) < BLOCK:
                block.insert(0, (*turn.input_items, *turn.progress.output_items))
                last, turn = turn, None if turn.history.conversation else await self.predecessor(turn, known)
            yield block
            if last.history.conversation:
                async for older in self.entry_blocks(
                    conversation_key(last.owner, last.history.conversation), last.history.reads_before
                ):
                    yield older

    async def predecessor(self, response: Response, known: dict[str, Response]) -> Response | None:
        """Return the response before one; the block of responses around it is read with it and added to `known`."""
        previous = response.history.previous
        if previous is None:
            return None
        if previous not in known:
            key = response_key(response.owner, response.id)
            first, last = block_range(response, previous)
            found = await list_all(self.store, key, prefix="resp_", after=first, before=last)
            known |= {each.id: each.read_with_id(Response.from_document) for each in found}
        if previous not in known:
            found_alone = await self.store.read(response_key(response.owner, previous), previous)
            return found_alone.read_with_id(Response.from_document) if found_alone else None
        return known[previous]

    async def entry_blocks(self, key: DocumentKey, number: int, *, most: int = BLOCK) -> AsyncIterator[Sequence[Names]]:
        """Yield the entries below a number, the newest block first."""
        end, size = number, max(most, 1)
        while end > 0:
            start = max(end - size, 0)
            yield await entries_between(self.store, key, start, end)
            end, size = start, BLOCK


def block_range(response: Response, previous: str) -> tuple[str, str]:
    """Return between which ids the block of a predecessor is; the whole thread where there is no index."""
    if response.history.index is None:
        return "", ""
    first, last = sorted((response.history.index.anchor, previous))
    return first[:-1], last + LAST


async def entries_between(store: DocumentStore, key: DocumentKey, start: int, end: int) -> Sequence[Names]:
    """Return the item ids of the entries numbered `start` to `end` - 1 of a conversation, in their order."""
    after = entry_id(start - 1) if start else ""
    size = min(end - start + 1, MANY)
    documents = await list_all(store, key, prefix=ENTRIES, after=after, before=entry_id(end), size=size)
    return [tuple(document.body["items"]) for document in documents]


def present(turns: Sequence[Names], found: dict[str, Item]) -> tuple[Turn, ...]:
    """Return the turns' items, without those that were deleted."""
    return tuple(tuple(found[name] for name in turn if name in found) for turn in turns)
