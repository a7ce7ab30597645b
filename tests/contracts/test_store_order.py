"""Does every store list and find in order, separate partitions and expire documents in time?"""

from typing import Any

import pytest

from clients.storage.port import Add, Container, Create, Delete, Document, DocumentKey, DocumentStore, Replace
from domain.errors import Conflict, Invalid
from tests.fakes.clocks import FakeClock

pytestmark = pytest.mark.slow

KEY = DocumentKey(container=Container.TURNS, parts=("tenant", "user:1", "a" * 24))
OTHERS = [
    DocumentKey(container=Container.TURNS, parts=("tenant", "user:1", "b" * 24)),
    DocumentKey(container=Container.TURNS, parts=("tenant", "user:2", "a" * 24)),
    DocumentKey(container=Container.TURNS, parts=("other", "user:1", "a" * 24)),
    DocumentKey(container=Container.TURNS, parts=("tenant", "user:1,user:1", "a" * 24)),
    DocumentKey(container=Container.TURNS, parts=('tenant", "user:1', "a", "a")),
    DocumentKey(container=Container.TURNS, parts=("TENANT", "user:1", "a" * 24)),
    DocumentKey(container=Container.TURNS, parts=("tenant ", "user:1", "a" * 24)),
    DocumentKey(container=Container.MONEY, parts=("tenant",)),
    DocumentKey(container=Container.FLEET, parts=("tenant",)),
    DocumentKey(container=Container.FLEET, parts=("é\ud800",)),
]
IDS = sorted(
    ["a", "a-", "a.", "a0", "a1", "a10", "a2", "aZ", "a_", "a_0", "a_1", "a`", "aa", "a~", "a~~", "b", "A", "~"]
)


async def fill(store: DocumentStore, key: DocumentKey, identifiers: list[str], **fields: Any) -> None:
    for identifier in reversed(identifiers):
        await store.commit(key, [Create(id=identifier, body=fields)])


async def ids(store: DocumentStore, prefix: str = "", *, after: str = "", limit: int = 1000) -> list[str]:
    return [document.id for document in await store.list(KEY, prefix=prefix, after=after, limit=limit)]


async def found(
    store: DocumentStore, *, before: float = 1e12, limit: int = 100, **sought: str
) -> list[tuple[DocumentKey, str]]:
    sought = {"kind": "response", "status": "queued"} | sought
    every = await store.find(KEY.container, kind=sought["kind"], status=sought["status"], before=before, limit=limit)
    return [(one.key, one.document.id) for one in every]


@pytest.mark.parametrize("prefix", ["", "a", "a_", "a1", "a~", "~", "A", "b", "zz", "a_0", "a_00"])
async def test_a_list_has_the_ids_with_the_prefix_and_not_their_neighbours(store: DocumentStore, prefix: str) -> None:
    await fill(store, KEY, IDS)
    assert await ids(store, prefix) == [one for one in IDS if one.startswith(prefix)]


@pytest.mark.parametrize("after", ["", "a", "a0", "a10", "a1z", "a_0", "a~~", "~", "~~", " "])
@pytest.mark.parametrize("prefix", ["", "a", "a_", "a1"])
async def test_a_list_continues_after_an_id_whether_it_exists_or_not(
    store: DocumentStore, prefix: str, after: str
) -> None:
    await fill(store, KEY, IDS)
    assert await ids(store, prefix, after=after) == [one for one in IDS if one.startswith(prefix) and one > after]


@pytest.mark.parametrize("limit", [-1, 0, 1, 2, 7, 1000])
async def test_pages_of_a_list_add_up_to_the_whole(store: DocumentStore, limit: int) -> None:
    await fill(store, KEY, IDS)
    assert await ids(store, limit=limit) == IDS[: max(limit, 0)]
    pages: list[str] = []
    while limit > 0 and (page := await ids(store, after=pages[-1] if pages else "", limit=limit)):
        pages += page
    assert pages == (IDS if limit > 0 else [])


async def test_a_list_has_a_thousand_documents_by_default(store: DocumentStore) -> None:
    names = [f"slot_{number:04d}" for number in range(1100)]
    for start in range(0, 1100, 100):
        await store.commit(KEY, [Create(id=name, body={}) for name in names[start : start + 100]])
    assert [document.id for document in await store.list(KEY, prefix="slot_")] == names[:1000]
    assert await ids(store, "slot_", after=names[999], limit=500) == names[1000:]


async def test_a_list_has_bodies_and_the_etags_that_a_read_has(store: DocumentStore) -> None:
    await fill(store, KEY, ["one", "two"], n=1)
    listed = await store.list(KEY, prefix="")
    assert listed == [await store.read(KEY, "one"), await store.read(KEY, "two")]


@pytest.mark.parametrize(("prefix", "after"), [("é", ""), ("", "é"), ("\ud800", "")])
async def test_a_list_by_an_invalid_prefix_is_rejected(store: DocumentStore, prefix: str, after: str) -> None:
    with pytest.raises(Invalid):
        await store.list(KEY, prefix=prefix, after=after)


@pytest.mark.parametrize("other", OTHERS, ids=str)
async def test_partitions_know_nothing_of_each_other(store: DocumentStore, other: DocumentKey) -> None:
    await store.commit(KEY, [Create(id="one", body={"n": 1})])
    await store.commit(other, [Create(id="one", body={"n": 2})])
    await store.commit(other, [Add(id="one", amounts={"n": 5}), Create(id="two", body={})])
    first, second = await store.read(KEY, "one"), await store.read(other, "one")
    assert (first and first.body, second and second.body) == ({"n": 1}, {"n": 7})
    assert await store.read(KEY, "two") is None
    with pytest.raises(Conflict):
        await store.commit(KEY, [Replace(id="two", body={}, etag="1")])
    await store.commit(KEY, [Delete(id="one"), Delete(id="two")])
    assert [document.id for document in await store.list(other, prefix="")] == ["one", "two"]


async def test_find_looks_into_every_partition_of_one_container(store: DocumentStore) -> None:
    for number, key in enumerate([KEY, *OTHERS]):
        await fill(store, key, ["one"], kind="response", status="queued", at=float(number))
    turns = [key for key in [KEY, *OTHERS] if key.container is Container.TURNS]
    assert await found(store) == [(key, "one") for key in turns]
    money = await store.find(Container.MONEY, kind="response", status="queued", before=1e12)
    assert [one.key for one in money] == [OTHERS[7]]
    assert isinstance(money[0].document, Document)


async def test_find_selects_by_kind_status_and_age_oldest_first(store: DocumentStore) -> None:
    for name, at in {"c": 3, "a": 1.5, "e": 5.0, "b": 2, "d": 4.999}.items():
        await fill(store, KEY, [name], kind="response", status="queued", at=at)
    await fill(store, KEY, ["x"], kind="response", status="ended", at=1)
    await fill(store, KEY, ["y"], kind="slot", status="queued", at=1)
    assert [name for _, name in await found(store, before=5)] == ["a", "b", "c", "d"]
    assert [name for _, name in await found(store, before=5.001, limit=3)] == ["a", "b", "c"]
    assert await found(store, before=1.5) == await found(store, limit=0) == await found(store, kind="other") == []
    assert await found(store, status="ended") == [(KEY, "x")]


@pytest.mark.parametrize("fields", [{}, {"at": "1"}, {"at": None}, {"at": True}, {"status": 1}, {"kind": ["response"]}])
async def test_find_leaves_out_documents_without_its_fields(store: DocumentStore, fields: dict[str, Any]) -> None:
    whole: dict[str, Any] = {"kind": "response", "status": "queued", "at": 1}
    await fill(store, KEY, ["one"], **(whole | fields if fields else {"kind": "response", "status": "queued"}))
    assert await found(store) == []


async def test_find_sees_a_document_as_it_is_now(store: DocumentStore) -> None:
    await fill(store, KEY, ["one"], kind="response", status="queued", at=1)
    there = await store.read(KEY, "one")
    assert there is not None
    await store.commit(KEY, [Replace(id="one", body={**there.body, "status": "ended"}, etag=there.etag)])
    assert (await found(store), await found(store, status="ended")) == ([], [(KEY, "one")])
    await store.commit(KEY, [Add(id="one", amounts={"at": 4})])
    assert (await found(store, status="ended", before=5), await found(store, status="ended", before=5.5)) == (
        [],
        [(KEY, "one")],
    )
    await store.commit(KEY, [Delete(id="one")])
    assert await found(store, status="ended") == []


async def test_a_document_exists_until_it_expires(store: DocumentStore, clock: FakeClock) -> None:
    body = {"kind": "response", "status": "queued", "at": 1}
    await store.commit(KEY, [Create(id="one", body=body, expires_at=clock.now() + 10), Create(id="two", body={})])
    clock.advance(9.999)
    assert (await ids(store), await found(store)) == (["one", "two"], [(KEY, "one")])
    clock.advance(0.001)
    assert (await ids(store), await found(store), await store.read(KEY, "one")) == (["two"], [], None)


async def test_an_expired_document_is_absent_for_every_write(store: DocumentStore, clock: FakeClock) -> None:
    await store.commit(KEY, [Create(id="one", body={"n": 1}, expires_at=clock.now() + 10)])
    there = await store.read(KEY, "one")
    assert there is not None
    clock.advance(10)
    for operation in (Replace(id="one", body={}, etag=there.etag), Add(id="one", amounts={"n": 1})):
        with pytest.raises(Conflict):
            await store.commit(KEY, [operation])
    await store.commit(KEY, [Delete(id="one", etag="another")])
    await store.commit(KEY, [Create(id="one", body={"n": 2})])
    clock.advance(1e9)
    again = await store.read(KEY, "one")
    assert again is not None
    assert (again.body, again.etag != there.etag) == ({"n": 2}, True)


async def test_a_replacement_sets_a_new_expiry_and_an_addition_does_not(store: DocumentStore, clock: FakeClock) -> None:
    soon = clock.now() + 10
    await store.commit(KEY, [Create(id=name, body={}, expires_at=soon) for name in ("added", "kept", "later")])
    for name, expires_at in {"kept": None, "later": soon + 10}.items():
        there = await store.read(KEY, name)
        assert there is not None
        await store.commit(KEY, [Replace(id=name, body={}, etag=there.etag, expires_at=expires_at)])
    await store.commit(KEY, [Add(id="added", amounts={"n": 1})])
    assert await ids(store) == ["added", "kept", "later"]
    clock.advance(10)
    assert await ids(store) == ["kept", "later"]
    clock.advance(10)
    assert await ids(store) == ["kept"]


async def test_a_document_may_be_written_expired(store: DocumentStore, clock: FakeClock) -> None:
    for _ in range(3):
        await store.commit(KEY, [Create(id="one", body={}, expires_at=clock.now())])
        assert await ids(store) == []
