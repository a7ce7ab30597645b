"""How does a change succeed while other writers change the same document?

A writer reads a document, decides, and commits with the etag that it read. The store rejects the commit with Conflict
where another writer was faster, on this instance or on another. The decision is then out of date, so the whole step
runs again: read, decide, commit. Writers that collide pause for random times, and longer each time, or they would
collide again. A step that still fails after `tries` or `WITHIN_S` seconds raises Unavailable, which callers may retry.

A commit that needs no second decision is not repeated: `commit_if_unchanged` and `create_once` return False, and
`commit_creating` creates the counters that are missing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from clients.clock import Clock
from clients.storage.damage import report
from clients.storage.port import Add, Create, DocumentKey, DocumentStore, Operation
from clients.storage.retry import with_back_off
from domain.errors import Conflict, DamagedRecord, GanglionError, Invalid, Unavailable

TRIES = 200
WITHIN_S = 30.0
RETRY_AFTER_S = 1.0


async def compare_and_swap[T](
    clock: Clock,
    step: Callable[[], Awaitable[T]],
    *,
    tries: int = TRIES,
    retry_on: tuple[type[GanglionError], ...] = (Conflict,),
) -> T:
    """Run a step that reads, decides and commits, again after each Conflict; raises Unavailable when it gives up.

    The step must be safe to repeat from its beginning.
    """
    try:
        return await with_back_off(clock, step, retry_on=retry_on, tries=tries, within_s=WITHIN_S)
    except Conflict as conflict:
        message = f"Other writers kept changing the document {conflict.identifier!r}. Try again later."
        raise Unavailable(message, delay_s=RETRY_AFTER_S) from conflict


async def commit_if_unchanged(store: DocumentStore, key: DocumentKey, operations: Sequence[Operation]) -> bool:
    """Commit once. Return False where another writer was first; nothing is written then."""
    try:
        await store.commit(key, operations)
    except Conflict:
        return False
    return True


async def add_or_create(store: DocumentStore, key: DocumentKey, addition: Add, create: Create) -> None:
    """Add to counters; create their document first where there is none. Counters that are damaged stay as they are."""
    try:
        if not await commit_if_unchanged(store, key, (addition,)):
            await create_once(store, key, create)
            await store.commit(key, (addition,))
    except (DamagedRecord, Invalid):
        report(DamagedRecord.by_id(addition.id))


async def commit_creating(
    store: DocumentStore,
    key: DocumentKey,
    operations: Sequence[Operation],
    create: Mapping[str, Callable[[], Awaitable[object]]],
) -> None:
    """Commit operations of which some add to documents; a document that does not exist is created by `create[id]`.

    Each is created once at most. Raises Conflict for every other document.
    """
    left = dict(create)
    while True:
        try:
            await store.commit(key, operations)
        except Conflict as conflict:
            if conflict.identifier not in left:
                raise
            await left.pop(conflict.identifier)()
        else:
            return


async def create_once(store: DocumentStore, key: DocumentKey, *operations: Create) -> bool:
    """Create documents in one commit, unless one of them exists; return whether this call created them.

    Safe to repeat: the documents of the first call stay.
    """
    return await commit_if_unchanged(store, key, operations)
