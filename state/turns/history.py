"""What was said before a turn, and what does its model read of it?

However long it was, no more is read than what the model reads, and at most a block of turns before.
"""

from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Sequence

from clients.storage.keys import ENTRIES, conversation_key, entry_id, response_key, turns_key
from clients.storage.paging import everything, some
from clients.storage.port import Document, DocumentKey, DocumentStore
from domain.content.items import Item
from domain.errors import NotFound
from domain.identity.owners import Owner
from domain.ids import thread_of
from domain.turns.context_window import Turn, items_read
from domain.turns.conversations import PREFIXES
from domain.turns.history_index import BLOCK, HistoryIndex
from domain.turns.response import Response

type Names = tuple[str, ...]
"""The ids of one turn's items."""

FEW = 4
"""So many items are read one by one, more as a range."""

MANY = 1000

KINDS = frozenset(PREFIXES.values())
"""What the ids of items begin with; other ids have a thread too."""

LAST = "~"
"""Comes after all that an id can go on with."""


class HistoryReader:
    """Reads items in the order in which they were said."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store

    async def items(self, owner: Owner, identifiers: Sequence[str]) -> tuple[Item, ...]:
        """Return the items in the order of their ids; raises NotFound naming the first that is missing."""
        found = await self.found(owner, identifiers)
        missing = [identifier for identifier in identifiers if identifier not in found]
        if missing:
            raise NotFound(f"Item with id '{missing[0]}' not found.")
        return tuple(found[identifier] for identifier in identifiers)

    async def found(self, owner: Owner, identifiers: Iterable[str]) -> dict[str, Item]:
        kinds: dict[tuple[str, str], set[str]] = {}
        for identifier in identifiers:
            thread, kind = thread_of(identifier), identifier.partition("_")[0]
            if thread and kind in KINDS:
                kinds.setdefault((thread, kind), set()).add(identifier)
        found: dict[str, Item] = {}
        for (thread, _), wanted in kinds.items():
            found |= await self.found_in(turns_key(owner, thread), sorted(wanted))
        return found

    async def found_in(self, key: DocumentKey, wanted: Sequence[str]) -> dict[str, Item]:
        """Return items of one kind: what was made at one time lies together."""
        if len(wanted) <= FEW:
            documents = [each for each in await some(self.store, key, wanted) if each]
        else:
            documents = await self.pages_of(key, wanted)
        return {each.id: Item.from_document(each.id, each.body) for each in documents}

    async def pages_of(self, key: DocumentKey, wanted: Sequence[str]) -> Sequence[Document]:
        """Return documents of one kind, page by page, without what lies far between one and the next."""
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
        """Return what the model is to read: the past turns that fit, and this one's input."""
        if response.history_index is None:
            past, left_out = await self.whole(response), response.left_out
        else:
            past, left_out = await self.kept(response, response.history_index), int(response.left_out > 0)
        found = await self.found(response.owner, [*response.input_items, *(name for turn in past for name in turn)])
        return items_read(present(past, found), present((response.input_items,), found)[0], left_out=left_out)

    async def whole(self, response: Response) -> Sequence[Names]:
        """Return every turn before this one, oldest first."""
        past: list[Names] = []
        async for block in self.behind(response, most=MANY):
            past[:0] = block
        return past

    async def kept(self, response: Response, track: HistoryIndex) -> Sequence[Names]:
        """Return the turns that are not left out, and before them, as one, what lasts of the others."""
        count = track.depth - response.left_out
        kept: Sequence[Names] = ()
        async for block in self.behind(response, most=count):
            kept = [*block, *kept][-count:] if count else []
            if len(kept) >= count:
                break
        if not response.left_out:
            return kept
        there = {*response.input_items, *(name for turn in kept for name in turn)}
        return [tuple(name for name in track.lasting if name not in there), *kept]

    async def behind(self, response: Response, *, most: int = BLOCK) -> AsyncIterator[Sequence[Names]]:
        """Yield the turns before a response: the newest block first, each block oldest first."""
        if response.conversation:
            key = conversation_key(response.owner, response.conversation)
            async for entries in self.entries(key, response.reads_before, most=most):
                yield entries
            return
        known: dict[str, Response] = {}
        turn = await self.before(response, known)
        while turn:
            block: list[Names] = []
            last = turn
            while turn and len(block) < BLOCK:
                block.insert(0, (*turn.input_items, *turn.output_items))
                last, turn = turn, None if turn.conversation else await self.before(turn, known)
            yield block
            if last.conversation:
                async for older in self.entries(conversation_key(last.owner, last.conversation), last.reads_before):
                    yield older

    async def before(self, response: Response, known: dict[str, Response]) -> Response | None:
        """Return the response that one goes on from; what lies around it is known from then on."""
        previous = response.previous
        if previous is None:
            return None
        if previous not in known:
            key = response_key(response.owner, response.id)
            first, last = around(response, previous)
            found = await everything(self.store, key, prefix="resp_", after=first, before=last)
            known |= {each.id: Response.from_document(each.id, each.body) for each in found}
        if previous not in known:
            found_alone = await self.store.read(response_key(response.owner, previous), previous)
            return Response.from_document(previous, found_alone.body) if found_alone else None
        return known[previous]

    async def entries(self, key: DocumentKey, number: int, *, most: int = BLOCK) -> AsyncIterator[Sequence[Names]]:
        """Yield the entries below a number, the newest block first."""
        end, size = number, max(most, 1)
        while end > 0:
            start = max(end - size, 0)
            yield await entries_between(self.store, key, start, end)
            end, size = start, BLOCK


def around(response: Response, previous: str) -> tuple[str, str]:
    """Return between which ids the block of a predecessor lies; the whole thread where there is no track."""
    if response.history_index is None:
        return "", ""
    first, last = sorted((response.history_index.anchor, previous))
    return first[:-1], last + LAST


async def entries_between(store: DocumentStore, key: DocumentKey, start: int, end: int) -> Sequence[Names]:
    """Return the ids that the entries from one number to below another put into a conversation, in their order."""
    after = entry_id(start - 1) if start else ""
    size = min(end - start + 1, MANY)
    documents = await everything(store, key, prefix=ENTRIES, after=after, before=entry_id(end), size=size)
    return [tuple(document.body["items"]) for document in documents]


def present(turns: Sequence[Names], found: dict[str, Item]) -> tuple[Turn, ...]:
    """Return the turns' items, without those that were deleted."""
    return tuple(tuple(found[name] for name in turn if name in found) for turn in turns)
