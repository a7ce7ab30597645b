"""How are conversations and their items stored and changed?

The document, the entries and the items of a conversation share the partition of its thread with the responses. A turn
therefore locks the conversation in the commit that admits the turn, and unlocks it in the commit that ends the turn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from clients.clock import Clock
from clients.storage.batching import create_operation
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.keys import conversation_key, entry_id
from clients.storage.paging import read_many
from clients.storage.port import Create, Delete, Document, DocumentStore, Operation, Replace
from domain.content.items import Item
from domain.errors import Invalid, NotFound
from domain.identity.owners import Owner
from domain.ids import conversation_id, member_id, thread_of
from domain.turns.conversations import PREFIXES, Conversation, Order, after_cursor
from domain.turns.history_index import lasting_in
from state.turns.history import entries_between
from state.turns.owner_threads import register_thread

SPARE = 20
"""Documents that are read beyond a page, so that a few deleted items cost no second round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPage:
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
        operations, grown = self.entry_operations(new, self.with_ids(thread, items))
        await register_thread(self.store, owner, thread, at=new.created_at)
        key = conversation_key(owner, new.id)
        await self.store.commit(key, (Create(id=new.id, body=grown.to_document()), *operations))
        return grown

    async def read(self, owner: Owner, identifier: str) -> Conversation:
        """Return a conversation; raises NotFound, also for the conversation of another owner."""
        document = await self.document(owner, identifier)
        return Conversation.from_document(identifier, document.body)

    async def document(self, owner: Owner, identifier: str) -> Document:
        found = await self.store.read(conversation_key(owner, identifier), identifier)
        if found is None:
            raise NotFound.by_id("Conversation", identifier)
        return found

    async def update_metadata(self, owner: Owner, identifier: str, *, metadata: Mapping[str, str]) -> Conversation:
        """Replace the metadata; a turn may change the conversation at the same time."""

        async def step() -> Conversation:
            found = await self.document(owner, identifier)
            changed = Conversation.from_document(identifier, found.body).with_metadata(metadata)
            await self.replace(found, changed, ())
            return changed

        return await compare_and_swap(self.clock, step)

    async def add(self, owner: Owner, identifier: str, items: Sequence[Item]) -> tuple[Item, ...]:
        """Add items at the end and return them with their ids. A turn that is already running does not read them."""
        added = self.with_ids(thread_of(identifier) or "", items)

        async def step() -> tuple[Item, ...]:
            found = await self.document(owner, identifier)
            operations, grown = self.entry_operations(Conversation.from_document(identifier, found.body), added)
            await self.replace(found, grown, operations)
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
            found += [Item.from_document(each.id, each.body) for each in documents if each]
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
        return Item.from_document(found.id, found.body)

    async def delete_item(self, owner: Owner, identifier: str, item_id: str) -> Conversation:
        """Delete one item; raises Invalid while a turn is running, which may be reading it."""
        await self.item(owner, identifier, item_id)

        async def step() -> Conversation:
            found = await self.document(owner, identifier)
            conversation = Conversation.from_document(identifier, found.body)
            if conversation.running:
                raise locked_error(conversation)
            await self.replace(found, conversation, (Delete(id=item_id),))
            return conversation

        return await compare_and_swap(self.clock, step)

    async def replace(self, found: Document, changed: Conversation, operations: Sequence[Operation]) -> None:
        """Commit a changed conversation with other operations; raises Conflict where it was changed meanwhile."""
        key = conversation_key(changed.owner, changed.id)
        head = Replace(id=changed.id, body=changed.to_document(), etag=found.etag)
        await self.store.commit(key, (head, *operations))

    def with_ids(self, thread: str, items: Sequence[Item]) -> tuple[Item, ...]:
        return tuple(
            replace(item, id=member_id(PREFIXES[item.kind], thread=thread, token=self.clock.token())) for item in items
        )

    def entry_operations(
        self, conversation: Conversation, items: Sequence[Item]
    ) -> tuple[Sequence[Operation], Conversation]:
        """Return what adds items to a conversation, and the conversation that has them."""
        if not items:
            return (), conversation
        body = entry_document([item.id for item in items], at=self.clock.now())
        entry = Create(id=entry_id(conversation.next_entry), body=body)
        return (entry, *(create_operation(item) for item in items)), conversation.with_new_entry(lasting_in(items))


def entry_document(identifiers: Sequence[str], *, at: float) -> dict[str, object]:
    return {"kind": "entry", "v": 1, "at": at, "items": list(identifiers)}


def locked_error(conversation: Conversation) -> Invalid:
    message = f"Conversation with id '{conversation.id}' has a response that is still running; try again when it ended."
    return Invalid(message, field="conversation", code="conversation_locked")
