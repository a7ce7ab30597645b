"""Which requests for an approval are open to an owner, or to those who decide in a tenant, newest first?

Entries have ids alone. They are written before their request, and expire when it does: one whose request is gone,
decided or over is left out of a list. A tenant's entries are in a partition of its own, and only where other people
than the owners decide; one under a request's own name tells whose it is.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence

from clients.clock import Clock
from clients.storage.compare_and_swap import create_once
from clients.storage.damage import readable
from clients.storage.keys import owner_index_key, turns_key
from clients.storage.paging import list_all
from clients.storage.port import Create, Delete, Document, DocumentKey, DocumentStore
from domain.identity.owners import Owner
from domain.ids import thread_of
from domain.tools.approvals import Approval
from state.time_index import LAST_MS, IndexPage, IndexRange, read_page, time_entry_id

APPROVALS = "approvals"
"""Takes the place of a subject in a partition key; no subject has this name."""

OPEN = "approval_open_"
NAMES = "approval_named_"

type LoadRequest[T] = Callable[[Owner, str, float], Awaitable[T | None]]
"""Returns what is listed of a request of an owner that was asked at a time; None leaves it out.

A step that was repeated may have left an entry with another time: its request is listed under the stored one alone.
"""


class ApprovalIndex:
    """The open requests by time. `is_shared`: other people than the owners decide. Every method is safe to repeat."""

    def __init__(self, store: DocumentStore, clock: Clock, *, is_shared: bool) -> None:
        self.store = store
        self.clock = clock
        self.is_shared = is_shared

    async def add(self, owner: Owner, approvals: Sequence[Approval]) -> None:
        for each in approvals:
            listed = open_id(each.asked_at, each.request)
            await create_once(self.store, owner_index_key(owner), *entries(owner, each, listed))
            if self.is_shared:
                named = name_of(each.request)
                await create_once(self.store, tenant_key(owner.tenant), *entries(owner, each, listed, named))

    async def remove(self, owner: Owner, approvals: Sequence[Approval]) -> None:
        """Take requests that are not open any more out of the lists. Their names stay, for those who ask again."""
        for each in approvals:
            listed = Delete(id=open_id(each.asked_at, each.request))
            await self.store.commit(owner_index_key(owner), (listed,))
            if self.is_shared:
                await self.store.commit(tenant_key(owner.tenant), (listed,))

    async def named(self, tenant: str, request: str) -> Owner | None:
        """Return whose turn asks a request of the tenant; None where it is unknown."""
        is_request = request.startswith("mcpr_") and thread_of(request) is not None
        found = await self.store.read(tenant_key(tenant), name_of(request)) if is_request else None
        return owner_in(tenant, found) if found else None

    async def entry(self, caller: Owner, request: str, *, whole_tenant: bool) -> str:
        """Return the entry of a request whose turn was deleted, until it expires; empty where there is none."""
        key = tenant_key(caller.tenant) if whole_tenant else owner_index_key(caller)
        found = await list_all(self.store, key, prefix=OPEN)
        return next(readable(found, lambda each: each.id if each.body["request"] == request else None), "")

    async def page[T](
        self, caller: Owner, load: LoadRequest[T], *, whole_tenant: bool, after: str, limit: int
    ) -> IndexPage[T]:
        """Return what `load` finds for the caller's requests, or for the tenant's, after the entry `after`."""
        key = tenant_key(caller.tenant) if whole_tenant else owner_index_key(caller)

        async def load_entry(entry: Document) -> T | None:
            return await load(owner_in(caller.tenant, entry), entry.body["request"], entry.body["at"])

        wanted = IndexRange(prefix=OPEN, after=after)
        return await read_page(self.store, key, wanted, load_entry, limit=limit)


def tenant_key(tenant: str) -> DocumentKey:
    return turns_key(Owner(tenant=tenant, subject=APPROVALS), APPROVALS)


def name_of(request: str) -> str:
    return f"{NAMES}{request}"


def is_open_id(name: str) -> bool:
    """Tell whether a name is one of an entry, which says its time also where its request is gone."""
    time, _, request = name.removeprefix(OPEN).partition("_")
    is_time = time.isascii() and time.isdecimal() and len(time) == len(str(LAST_MS))
    return name.startswith(OPEN) and is_time and request.startswith("mcpr_") and thread_of(request) is not None


def open_id(at: float, request: str) -> str:
    return time_entry_id(OPEN, at, request)


def entries(owner: Owner, approval: Approval, *names: str) -> Iterator[Create]:
    body = {
        "kind": "asked",
        "v": 1,
        "at": approval.asked_at,
        "request": approval.request,
        "response": approval.response,
        "subject": owner.subject,
    }
    yield from (Create(id=each, body=body, expires_at=approval.expires_at) for each in names)


def owner_in(tenant: str, entry: Document) -> Owner:
    return Owner(tenant=tenant, subject=entry.body["subject"])
