"""Which response did a request become, if it is sent again?"""

from clients.clock import Clock
from clients.storage.keys import book_key, thread_id
from clients.storage.port import Body, Create, Delete, Document, DocumentStore, Operation, Replace
from domain.errors import Conflict
from domain.identity.owners import Owner
from domain.ids import thread_of

CLAIM_S = 600
HOLDERS = "holders"


class IdempotencyRecords:
    """Remembers requests for ten minutes, in the owner's book; a new thread is noted there in the same commit.

    A claim counts its holders, who may still make its response: the last who is refused takes it away, and the note of
    the thread with it.
    """

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def claim(
        self, owner: Owner, *, key: str, body_hash: str, response_id: str, repeat: bool, new_thread: bool
    ) -> str:
        identifier = claim_id(key)
        thread = thread_of(response_id) if new_thread else None
        while True:
            found = await self.store.read(book_key(owner), identifier)
            if found and repeat:
                return existing_response(found, key, body_hash)
            body = {**self.body(response_id), "body_hash": body_hash}
            try:
                await self.store.commit(book_key(owner), (self.write(identifier, body, found), *self.noted(thread)))
            except Conflict as conflict:
                thread = None if thread and conflict.identifier == thread_id(thread) else thread
            else:
                return response_id

    def body(self, response_id: str) -> Body:
        return {"kind": "claim", "v": 1, "at": self.clock.now(), "response": response_id, HOLDERS: 1}

    async def hold(self, owner: Owner, *, key: str, response_id: str) -> bool:
        """Become one more holder of a claim that a repeat has found; False where it is another's now, or gone."""
        return await self.change_holders(owner, key=key, response_id=response_id, by=1)

    async def withdraw(self, owner: Owner, *, key: str, response_id: str, new_thread: bool) -> None:
        """Leave a claim whose request was refused; the last holder takes it away."""
        thread = thread_of(response_id) if new_thread else None
        await self.change_holders(owner, key=key, response_id=response_id, by=-1, thread=thread)

    async def change_holders(
        self, owner: Owner, *, key: str, response_id: str, by: int, thread: str | None = None
    ) -> bool:
        while True:
            found = await self.store.read(book_key(owner), claim_id(key))
            if found is None or found.body["response"] != response_id:
                return False
            held = found.body.get(HOLDERS, 1) + by
            operations = (self.held_by(found, held),) if held else (*self.gone(found, thread),)
            try:
                await self.store.commit(book_key(owner), operations)
            except Conflict:
                continue
            return True

    def held_by(self, found: Document, holders: int) -> Replace:
        body = {**found.body, HOLDERS: holders}
        return Replace(id=found.id, body=body, etag=found.etag, expires_at=found.body["at"] + CLAIM_S)

    def gone(self, found: Document, thread: str | None) -> tuple[Operation, ...]:
        note = (Delete(id=thread_id(thread)),) if thread else ()
        return (Delete(id=found.id, etag=found.etag), *note)

    def write(self, identifier: str, body: Body, found: Document | None) -> Operation:
        expires_at = self.clock.now() + CLAIM_S
        if found:
            return Replace(id=identifier, body=body, etag=found.etag, expires_at=expires_at)
        return Create(id=identifier, body=body, expires_at=expires_at)

    def noted(self, thread: str | None) -> tuple[Operation, ...]:
        body = {"kind": "thread", "v": 1, "at": self.clock.now()}
        return (Create(id=thread_id(thread), body=body),) if thread else ()


def claim_id(key: str) -> str:
    return f"claim_{key}"


def existing_response(found: Document, key: str, body_hash: str) -> str:
    if found.body["body_hash"] != body_hash:
        raise Conflict("the Idempotency-Key was used with another body", identifier=key)
    return found.body["response"]
