"""How are conversations and their items stored and changed?

The document, the entries and the items of a conversation share the partition of its thread with the responses. A turn
therefore locks the conversation in the commit that admits the turn, and unlocks it in the commit that ends the turn.
"""

from collections.abc import Mapping, Sequence
from copy import replace

from msgspec import Struct

from clients.clock import Clock
from clients.storage.batching import split_to_fit
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.item_parts import delete_operations, item_creates, item_from, items_from
from clients.storage.keys import CONVERSATIONS, conversation_key, entry_id, owner_index_key
from clients.storage.paging import create_missing, read_many
from clients.storage.port import Create, Document, DocumentKey, DocumentStore, Operation, Replace
from domain.content.items import Item
from domain.errors import Invalid, Locked, NotFound
from domain.identity.owners import Owner
from domain.ids import conversation_id, member_id, thread_of
from domain.turns.conversations import PREFIXES, Conversation, Order, after_cursor
from domain.turns.history_index import lasting_in
from state.time_index import IndexPage, IndexRange, entry_of, read_page, time_entry_id
from state.turns.history import entries_between
from state.turns.owner_threads import register_conversation

SPARE = 20
"""Documents that are read beyond a page, so that a few deleted items cost no second round."""


class ItemPage(Struct, frozen=True, kw_only=True):
    """Items in the requested order; `more` is set where others follow."""

    items: tuple[Item, ...]
    more: bool


class ConversationStore:
    """Stores conversations. Safe to use from many instances at once; `Retention` deletes them."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def create(self, owner: Owner, *, metadata: Mapping[str, str], items: Sequence[Item] = ()) -> Conversation:
        """Store a new conversation with its first items, and assign the ids of the items."""
        thread = self.clock.token()
        new = Conversation(id=conversation_id(thread), owner=owner, created_at=self.clock.now(), metadata=metadata)
        added = self.with_ids(thread, items)
        entries, grown = self.with_entry(new, added)
        await register_conversation(self.store, owner, new.id, thread=thread, at=new.created_at)
        key = conversation_key(owner, new.id)
        head = (Create(id=new.id, body=grown.to_document()), *entries)
        await self.store.commit(key, await self.with_items(key, head, added))
        return grown

    async def read(self, owner: Owner, identifier: str) -> Conversation:
        """Return a conversation; raises NotFound, also for the conversation of another owner."""
        document = await self.document(owner, identifier)
        return document.read_with_id(Conversation.from_document)

    async def page(self, owner: Owner, *, after: str, limit: int) -> IndexPage[Conversation]:
        """Return conversations, newest first, after the conversation `after`; raises NotFound where there was none.

        A conversation of a release that kept no index is not listed.
        """

        async def load(entry: Document) -> Conversation | None:
            try:
                return await self.read(owner, entry.body["conversation"])
            except NotFound:
                return None

        wanted = IndexRange(prefix=CONVERSATIONS, after=await self.entry(owner, after) if after else "")
        return await read_page(self.store, owner_index_key(owner), wanted, load, limit=limit)

    async def entry(self, owner: Owner, identifier: str) -> str:
        """Return the list's entry of a conversation; it stays when the conversation is deleted. Raises NotFound."""
        try:
            return time_entry_id(CONVERSATIONS, (await self.read(owner, identifier)).created_at, identifier)
        except NotFound:
            found = await entry_of(self.store, owner_index_key(owner), CONVERSATIONS, identifier)
            if not found:
                raise
            return found

    async def document(self, owner: Owner, identifier: str) -> Document:
        found = await self.store.read(conversation_key(owner, identifier), identifier)
        if found is None:
            raise NotFound.by_id("Conversation", identifier)
        return found

    async def update_metadata(self, owner: Owner, identifier: str, *, metadata: Mapping[str, str]) -> Conversation:
        """Replace the metadata; a turn may change the conversation at the same time."""

        async def step() -> Conversation:
            found = await self.document(owner, identifier)
            changed = found.read_with_id(Conversation.from_document).with_metadata(metadata)
            await self.replace(found, changed, ())
            return changed

        return await compare_and_swap(self.clock, step)

    async def add(self, owner: Owner, identifier: str, items: Sequence[Item]) -> tuple[Item, ...]:
        """Add items at the end and return them with their ids. A turn that is already running does not read them."""
        added = self.with_ids(thread_of(identifier) or "", items)

        async def step() -> tuple[Item, ...]:
            found = await self.document(owner, identifier)
            entries, grown = self.with_entry(found.read_with_id(Conversation.from_document), added)
            await self.replace(found, grown, entries, added)
            return added

        return await compare_and_swap(self.clock, step)

    async def items(
        self, owner: Owner, identifier: str, *, after: str = "", limit: int = 20, order: Order = "desc"
    ) -> ItemPage:
        """Return up to `limit` items that follow the item `after`; raises Invalid where `after` is not in it."""
        conversation = await self.read(owner, identifier)
        key = conversation_key(owner, identifier)
        entries = await entries_between(self.store, key, 0, conversation.next_entry)
        following = after_cursor([name for entry in entries for name in entry], after=after, order=order)
        if following is None:
            raise Invalid(f"No item with id '{after}' in this conversation.", field="after", code="item_not_found")
        found: list[Item] = []
        while following and len(found) <= limit:
            page, following = following[: limit + SPARE], following[limit + SPARE :]
            documents = await read_many(self.store, key, page)
            found += await items_from(self.store, key, [each for each in documents if each])
        return ItemPage(items=tuple(found[:limit]), more=len(found) > limit)

    async def item(self, owner: Owner, identifier: str, item_id: str) -> Item:
        """Return one item of a conversation; raises NotFound."""
        conversation = await self.read(owner, identifier)
        key = conversation_key(owner, identifier)
        entries = await entries_between(self.store, key, 0, conversation.next_entry)
        listed = any(item_id in entry for entry in entries)
        found = await self.store.read(key, item_id) if listed else None
        if found is None:
            raise NotFound.by_id("Item", item_id)
        return await item_from(self.store, key, found)

    async def delete_item(self, owner: Owner, identifier: str, item_id: str) -> Conversation:
        """Delete one item; raises Invalid while a turn is running, which may be reading it."""
        await self.item(owner, identifier, item_id)

        async def step() -> Conversation:
            found = await self.document(owner, identifier)
            conversation = found.read_with_id(Conversation.from_document)
            if conversation.running:
                raise locked_error(conversation)
            key = conversation_key(owner, identifier)
            await self.replace(found, conversation, await delete_operations(self.store, key, [item_id]))
            return conversation

        return await compare_and_swap(self.clock, step)

    async def replace(
        self, found: Document, changed: Conversation, operations: Sequence[Operation], items: Sequence[Item] = ()
    ) -> None:
        """Commit a changed conversation with other operations and new items; raises Conflict where it has changed."""
        key = conversation_key(changed.owner, changed.id)
        head = (Replace(id=changed.id, body=changed.to_document(), etag=found.etag), *operations)
        await self.store.commit(key, await self.with_items(key, head, items))

    async def with_items(
        self, key: DocumentKey, head: Sequence[Operation], items: Sequence[Item]
    ) -> Sequence[Operation]:
        """Return a commit of the head and the items; items without room in it are written now."""
        early, late = split_to_fit(head, [create for item in items for create in item_creates(item)])
        await create_missing(self.store, key, early)
        return (*head, *late)

    def with_ids(self, thread: str, items: Sequence[Item]) -> tuple[Item, ...]:
        return tuple(
            replace(item, id=member_id(PREFIXES[item.kind], thread=thread, token=self.clock.token())) for item in items
        )

    def with_entry(self, conversation: Conversation, items: Sequence[Item]) -> tuple[Sequence[Create], Conversation]:
        """Return the entry that adds items to a conversation, and the conversation that has it."""
        if not items:
            return (), conversation
        body = entry_document([item.id for item in items], at=self.clock.now())
        entry = Create(id=entry_id(conversation.next_entry), body=body)
        return (entry,), conversation.with_new_entry(lasting_in(items))


WHEN_LOCKED = "Retry when it has ended, or send metadata.on_running = 'queue' or 'cancel'."


def entry_document(identifiers: Sequence[str], *, at: float) -> dict[str, object]:
    return {"kind": "entry", "v": 1, "at": at, "items": list(identifiers)}


def locked_error(conversation: Conversation) -> Locked:
    blocking = conversation.waiting[-1] if conversation.waiting else conversation.running
    named = f" '{blocking}'" if blocking else ""
    message = f"Conversation with id '{conversation.id}' has a response{named} that is still running. {WHEN_LOCKED}"
    return Locked(message, field="conversation", running=blocking)
