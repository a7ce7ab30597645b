"""Which response did an earlier request with the same Idempotency-Key create?"""

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.keys import owner_index_key, thread_id
from clients.storage.port import Body, Create, Delete, Document, DocumentStore, Operation, Replace
from domain.errors import Conflict
from domain.identity.owners import Owner
from domain.ids import thread_of

KEPT_S = 600
HOLDERS = "holders"


class IdempotencyRecords:
    """Remembers requests for ten minutes, in the owner's index. A new thread is registered in the same commit.

    A record counts its holders: the requests that may still create its response. The last holder that is rejected
    deletes the record, and the registration of the thread with it.
    """

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def record(
        self, owner: Owner, *, key: str, body_hash: str, response_id: str, repeat: bool, new_thread: bool
    ) -> str:
        """Return the recorded response where `repeat`, else record `response_id`; raises Conflict for another body."""
        thread = thread_of(response_id) if new_thread else None

        async def step() -> Document | None:
            nonlocal thread
            found = await self.store.read(owner_index_key(owner), record_id(key))
            if found and repeat:
                return found
            body = {**self.body(response_id), "body_hash": body_hash}
            operations = (self.write_operation(record_id(key), body, found), *self.thread_operations(thread))
            try:
                await self.store.commit(owner_index_key(owner), operations)
            except Conflict as conflict:
                if thread and conflict.identifier == thread_id(thread):  # it is registered: the next try leaves it out
                    thread = None
                raise
            return None

        existing = await compare_and_swap(self.clock, step)
        return existing_response(existing, key, body_hash) if existing else response_id

    def body(self, response_id: str) -> Body:
        return {"kind": "claim", "v": 1, "at": self.clock.now(), "response": response_id, HOLDERS: 1}

    async def forget(self, owner: Owner, key: str) -> None:
        """Delete the record of an earlier request, to which a later one with the same content does not belong."""

        async def step() -> None:
            if found := await self.store.read(owner_index_key(owner), record_id(key)):
                await self.store.commit(owner_index_key(owner), (Delete(id=found.id, etag=found.etag),))

        await compare_and_swap(self.clock, step)

    async def add_holder(self, owner: Owner, *, key: str, response_id: str) -> bool:
        """Count a repeat as a holder of the record that it found; False where the record has changed or is gone."""
        return await self.change_holders(owner, key=key, response_id=response_id, by=1)

    async def remove_holder(self, owner: Owner, *, key: str, response_id: str, new_thread: bool) -> None:
        """Count a rejected request out; the last holder deletes the record."""
        thread = thread_of(response_id) if new_thread else None
        await self.change_holders(owner, key=key, response_id=response_id, by=-1, thread=thread)

    async def change_holders(
        self, owner: Owner, *, key: str, response_id: str, by: int, thread: str | None = None
    ) -> bool:
        async def step() -> bool:
            found = await self.store.read(owner_index_key(owner), record_id(key))
            if found is None or found.body["response"] != response_id:
                return False
            holders = found.body.get(HOLDERS, 1) + by
            operations = (self.holders_operation(found, holders),) if holders else self.delete_operations(found, thread)
            await self.store.commit(owner_index_key(owner), operations)
            return True

        return await compare_and_swap(self.clock, step)

    def holders_operation(self, found: Document, holders: int) -> Replace:
        body = {**found.body, HOLDERS: holders}
        return Replace(id=found.id, body=body, etag=found.etag, expires_at=found.body["at"] + KEPT_S)

    def delete_operations(self, found: Document, thread: str | None) -> tuple[Operation, ...]:
        registration = (Delete(id=thread_id(thread)),) if thread else ()
        return (Delete(id=found.id, etag=found.etag), *registration)

    def write_operation(self, identifier: str, body: Body, found: Document | None) -> Operation:
        expires_at = self.clock.now() + KEPT_S
        if found:
            return Replace(id=identifier, body=body, etag=found.etag, expires_at=expires_at)
        return Create(id=identifier, body=body, expires_at=expires_at)

    def thread_operations(self, thread: str | None) -> tuple[Operation, ...]:
        body = {"kind": "thread", "v": 1, "at": self.clock.now()}
        return (Create(id=thread_id(thread), body=body),) if thread else ()


def record_id(key: str) -> str:
    return f"claim_{key}"


def existing_response(found: Document, key: str, body_hash: str) -> str:
    if found.body["body_hash"] != body_hash:
        raise Conflict("the Idempotency-Key was used with another body", identifier=key)
    return found.body["response"]
