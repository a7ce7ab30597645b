"""Which turns did an owner store as chat completions?

Each has an entry in the owner's index, beside the threads; the ids of the entries sort by time. The entry of a deleted
one stays for a while, so that a list that is read page by page goes on after it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from copy import replace

from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import readable, report
from clients.storage.keys import owner_index_key, response_key
from clients.storage.paging import create_missing, list_all
from clients.storage.port import Create, DocumentStore, Replace
from domain.errors import DamagedRecord, NotFound
from domain.fleet.caller_rules import RESIDENCY
from domain.identity.owners import Owner
from domain.turns.response import Response
from state.time_index import left_behind
from state.turns.responses import TurnStore

CHATS = "chat_"


class StoredCompletions:
    """The index of stored chat completions. Safe to use from many instances at once."""

    def __init__(self, store: DocumentStore, turns: TurnStore) -> None:
        self.store = store
        self.turns = turns

    async def add(self, turn: Response) -> None:
        """Add a turn to the index. Safe to repeat."""
        body = {"kind": "chat", "v": 1, "at": turn.created_at, "response": turn.id}
        await create_missing(self.store, owner_index_key(turn.owner), (Create(id=completion_id(turn), body=body),))

    async def read(self, owner: Owner, response_id: str) -> Response:
        """Return the turn of a stored chat completion; raises NotFound."""
        turn = await self.turns.read(owner, response_id)
        if await self.store.read(owner_index_key(owner), completion_id(turn)) is None:
            raise NotFound.by_id("Response", response_id)
        return turn

    async def response_ids(self, owner: Owner) -> Sequence[str]:
        """Return the ids of all stored chat completions, oldest first; some were deleted lately."""
        entries = await list_all(self.store, owner_index_key(owner), prefix=CHATS)
        return list(readable(entries, lambda entry: str(entry.body["response"])))

    async def responses(self, owner: Owner, names: Sequence[str]) -> AsyncIterator[Response]:
        """Yield the turns that still exist, in the order of their ids."""
        for name in names:
            try:
                yield await self.turns.read(owner, name)
            except NotFound:
                continue
            except DamagedRecord as damage:
                report(damage)

    async def update_metadata(self, owner: Owner, response_id: str, *, metadata: Mapping[str, str]) -> Response:
        """Replace the metadata of a stored chat completion; where it still runs, its data goes nowhere else by that."""
        await self.read(owner, response_id)

        async def step() -> Response:
            found = await self.turns.document(owner, response_id)
            before = found.read_with_id(Response.from_document)
            options = replace(before.options, metadata={**metadata, **lasting_metadata(before)})
            changed = replace(before, options=options)
            operation = Replace(id=response_id, body=changed.to_document(), etag=found.etag)
            await self.store.commit(response_key(owner, response_id), (operation,))
            return changed

        return await compare_and_swap(self.turns.clock, step)

    async def delete(self, turn: Response) -> None:
        key = owner_index_key(turn.owner)

        async def step() -> None:
            if left := await left_behind(self.store, key, completion_id(turn), now=self.turns.clock.now()):
                await self.store.commit(key, left)

        await compare_and_swap(self.turns.clock, step)


def lasting_metadata(turn: Response) -> Mapping[str, str]:
    """Return the metadata that a turn keeps until it has ended: where its data may be sent."""
    if turn.status.is_terminal or RESIDENCY not in turn.options.metadata:
        return {}
    return {RESIDENCY: turn.options.metadata[RESIDENCY]}


def completion_id(turn: Response) -> str:
    return f"{CHATS}{turn.created_at:017.6f}_{turn.id}"
