"""How does the answer of a pipeline get into a conversation, once?"""

import hashlib
from collections.abc import Sequence
from copy import replace

from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.keys import conversation_key
from domain.content.items import Item
from domain.identity.owners import Owner
from domain.ids import member_id, thread_of
from domain.turns.conversations import PREFIXES, Conversation
from state.turns.conversations import ConversationStore


class ConversationSink:
    """Adds answers to conversations. The ids of the items follow from a key, so a repeated delivery adds nothing."""

    def __init__(self, conversations: ConversationStore) -> None:
        self.conversations = conversations

    async def add(
        self, owner: Owner, identifier: str, items: Sequence[Item], *, key: str, is_tainted: bool = False
    ) -> None:
        """Add items at the end of a conversation; raises NotFound where there is none.

        `is_tainted`: they depend on what nobody trusts. What one commit has no room for is written before it, so the
        last item alone, which the commit has in any case, tells whether they were added.
        """
        thread, store = thread_of(identifier) or "", self.conversations
        added = [replace(item, id=item_id(item, thread, f"{key} {at}")) for at, item in enumerate(items)]

        async def step() -> None:
            found = await store.document(owner, identifier)
            if await store.store.read(conversation_key(owner, identifier), added[-1].id):
                return
            entries, grown = store.with_entry(found.read_with_id(Conversation.from_document), added)
            await store.replace(found, grown.tainted(by=is_tainted), entries, added)

        if added:
            await compare_and_swap(store.clock, step)


def item_id(item: Item, thread: str, key: str) -> str:
    return member_id(PREFIXES[item.kind], thread=thread, token=hashlib.sha256(key.encode()).hexdigest()[:24])
