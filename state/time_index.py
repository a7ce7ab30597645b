"""How are stored objects listed by time, newest first?

An index entry is a small document whose id contains the time, counted down, so that the store's own order is the one of
a list. An entry is written with its object or before it: an entry without its object is left out of the list. The entry
of a deleted object stays for a while: whoever reads the list page by page goes on after it.
"""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import Struct

from clients.storage.damage import report
from clients.storage.paging import list_all
from clients.storage.port import Document, DocumentKey, DocumentStore, Replace
from domain.errors import DamagedRecord

LAST_MS = 10**13 - 1
"""The largest number of milliseconds with 13 digits: a day in the year 2286."""

SCAN_LIMIT = 2000
"""The number of entries that one request reads to fill a page of a filtered list."""

LEFT_S = 86_400.0
"""How long the entry of a deleted object stays."""

CHUNK = 40
"""Entries whose objects are read at the same time."""


class IndexRange(Struct, frozen=True, kw_only=True):
    """The entries of a prefix from the newest, or the one after the id `after`, down to the id `until`."""

    prefix: str
    after: str = ""
    until: str = ""


class IndexPage[T](Struct, frozen=True, kw_only=True):
    """Objects, newest first. Where `more` is set, the list continues after the object `last` of the entry `entry`."""

    found: tuple[T, ...]
    more: bool = False
    last: str = ""
    entry: str = ""


def time_entry_id(prefix: str, at: float, identifier: str = "") -> str:
    """Return the id of an entry; without an identifier, one that sorts before all entries of the same millisecond."""
    return f"{prefix}{LAST_MS - round(at * 1000):013d}_{identifier}"


async def read_page[T](
    store: DocumentStore,
    key: DocumentKey,
    wanted: IndexRange,
    load: Callable[[Document], Awaitable[T | None]],
    *,
    limit: int,
) -> IndexPage[T]:
    """Return up to `limit` objects that `load` finds for their entries; None leaves an entry out.

    The page ends after SCAN_LIMIT entries, also where it is not full.
    """
    found: list[T] = []
    after, last, seen, scanned = wanted.after, "", "", 0
    while scanned < SCAN_LIMIT:
        entries = await store.list(key, prefix=wanted.prefix, after=after, limit=CHUNK)
        within = [each for each in entries if not wanted.until or each.id < wanted.until]
        for entry, loaded in zip(within, await asyncio.gather(*(or_none(load(each)) for each in within)), strict=True):
            if loaded is not None and len(found) == limit:
                return IndexPage(found=tuple(found), more=True, last=last, entry=seen)
            found += [] if loaded is None else [loaded]
            last, seen = identifier_of(entry, wanted.prefix), entry.id
        if len(within) < CHUNK:
            return IndexPage(found=tuple(found))
        after, scanned = entries[-1].id, scanned + CHUNK
    return IndexPage(found=tuple(found), more=True, last=last, entry=seen)


async def or_none[T](loading: Awaitable[T | None]) -> T | None:
    """Leave out an object whose record is damaged."""
    try:
        return await loading
    except DamagedRecord as damage:
        report(damage)
        return None


def identifier_of(entry: Document, prefix: str) -> str:
    return entry.id.removeprefix(prefix).partition("_")[2]


async def left_behind(store: DocumentStore, key: DocumentKey, entry_id: str, *, now: float) -> tuple[Replace, ...]:
    """Return what keeps the entry of an object for a while that is deleted in the same commit; empty without one."""
    found = await store.read(key, entry_id)
    return (Replace(id=entry_id, body=found.body, etag=found.etag, expires_at=now + LEFT_S),) if found else ()


async def entry_of(store: DocumentStore, key: DocumentKey, prefix: str, identifier: str) -> str:
    """Return the entry that a deleted object has left; empty where there is none."""
    found = await list_all(store, key, prefix=prefix)
    return next((each.id for each in found if identifier_of(each, prefix) == identifier), "")
