"""Which response did a request become, if it is sent again?"""

from clients.clock import Clock
from clients.store import Body, Create, Document, Operation, Replace, Store
from clients.turn_keys import book_key, thread_id
from domain.errors import Conflict
from domain.ids import thread_of
from domain.owners import Owner

CLAIM_S = 600


class Claims:
    """Remembers requests for ten minutes, in the owner's book; a new thread is noted there in the same commit."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    async def claim(
        self, owner: Owner, *, key: str, body_hash: str, response_id: str, repeat: bool, new_thread: bool
    ) -> str:
        identifier = f"claim_{key}"
        thread = thread_of(response_id) if new_thread else None
        while True:
            found = await self.store.read(book_key(owner), identifier)
            if found and repeat:
                return standing(found, key, body_hash)
            body = {"kind": "claim", "v": 1, "at": self.clock.now(), "response": response_id, "body_hash": body_hash}
            try:
                await self.store.commit(book_key(owner), (self.write(identifier, body, found), *self.noted(thread)))
            except Conflict as conflict:
                thread = None if thread and conflict.identifier == thread_id(thread) else thread
            else:
                return response_id

    def write(self, identifier: str, body: Body, found: Document | None) -> Operation:
        expires_at = self.clock.now() + CLAIM_S
        if found:
            return Replace(id=identifier, body=body, etag=found.etag, expires_at=expires_at)
        return Create(id=identifier, body=body, expires_at=expires_at)

    def noted(self, thread: str | None) -> tuple[Operation, ...]:
        body = {"kind": "thread", "v": 1, "at": self.clock.now()}
        return (Create(id=thread_id(thread), body=body),) if thread else ()


def standing(found: Document, key: str, body_hash: str) -> str:
    if found.body["body_hash"] != body_hash:
        raise Conflict("the Idempotency-Key was used with another body", identifier=key)
    return found.body["response"]
