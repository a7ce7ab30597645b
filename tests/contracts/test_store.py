"""Does every store do what the port says, one document and one batch at a time?"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from clients.storage.port import (
    BYTES_LIMIT,
    Add,
    Container,
    Create,
    Delete,
    Document,
    DocumentKey,
    DocumentStore,
    Operation,
    Replace,
)
from domain.errors import Conflict, DamagedRecord, Exhausted, GanglionError, Invalid
from tests.fakes.clocks import FakeClock

KEY = DocumentKey(container=Container.TURNS, parts=("tenant", "user:1", "a" * 24))


def nested(depth: int) -> object:
    value: object = "the bottom"
    for level in range(depth):
        value = [value] if level % 2 else {"x": value}
    return value


BODIES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "every type": {"n": None, "t": True, "i": 2**53, "f": 0.1, "s": "", "l": [1, [2, {"three": 3}]], "o": {"k": {}}},
    "tiny and huge numbers": {"a": 5e-324, "b": 1.7976931348623157e308, "c": -0.0},
    "languages": {"ключ": "日本語 한국어 العربية עברית", "é": "é", "e\u0301": "e\u0301"},
    "emoji": {"text": "👩🏽‍🚀🏳️‍🌈 \U0010ffff"},
    "control characters": {"text": '\x00\x01\x1f\x7f\u2028\u2029\ufeff"\\\n'},
    "field names of the store": {"id": 1, "etag": 2, "kind": 3, "status": [4], "at": "5", "expires_at": 6, "body": 7},
    "as deep as may be": {"deep": nested(127), "wide": [{}] * 200, "text": '\\"[{' * 99},
    "odd fields of find": {"kind": None, "status": True, "at": True},
}
UNSPEAKABLE: list[dict[str, Any]] = [
    {"text": "\ud800"},
    {"text": [{"deep": "a\udfffb"}]},
    {"\udc00": 1},
    {"number": float("nan")},
    {"numbers": [1, float("-inf")]},
    {"deep": nested(128)},
    {"deep": nested(100_000)},
]


async def create(store: DocumentStore, *identifiers: str, **fields: Any) -> None:
    for identifier in identifiers:
        await store.commit(KEY, [Create(id=identifier, body=fields)])


async def there(store: DocumentStore, identifier: str, key: DocumentKey = KEY) -> Document:
    found = await store.read(key, identifier)
    assert found is not None
    return found


async def ids(store: DocumentStore, prefix: str = "", *, after: str = "", limit: int = 1000) -> list[str]:
    return [document.id for document in await store.list(KEY, prefix=prefix, after=after, limit=limit)]


async def refused(store: DocumentStore, error: type[GanglionError], *operations: Operation) -> str:
    """Return which operation failed."""
    with pytest.raises(error) as failure:
        await store.commit(KEY, operations)
    return getattr(failure.value, "identifier", "")


async def succeeded(store: DocumentStore, operation: Operation) -> bool:
    try:
        await store.commit(KEY, [operation])
    except (Conflict, Exhausted):
        return False
    return True


async def test_nothing_is_found_in_an_empty_store(store: DocumentStore) -> None:
    assert await store.read(KEY, "one") is None
    assert await ids(store) == []
    assert await store.find(KEY.container, kind="a", status="b", before=1e12) == []


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
async def test_a_body_is_read_as_it_was_written(store: DocumentStore, body: dict[str, Any]) -> None:
    await store.commit(KEY, [Create(id="one", body=body)])
    assert (await there(store, "one")).body == body
    assert [document.body for document in await store.list(KEY, prefix="one")] == [body]


async def test_a_body_is_the_readers_own(store: DocumentStore) -> None:
    written = {"list": [1]}
    await store.commit(KEY, [Create(id="one", body=written)])
    written["list"].append(2)
    (await there(store, "one")).body["list"].append(3)
    assert (await there(store, "one")).body == {"list": [1]}


@pytest.mark.parametrize("body", UNSPEAKABLE, ids=range(len(UNSPEAKABLE)))
async def test_a_body_that_is_no_json_is_rejected_and_nothing_is_stored(
    store: DocumentStore, body: dict[str, Any]
) -> None:
    await refused(store, Invalid, Create(id="before", body={}), Create(id="one", body=body))
    assert await ids(store) == []


async def test_an_id_is_created_once(store: DocumentStore) -> None:
    await create(store, "one", n=1)
    assert await refused(store, Conflict, Create(id="one", body={"n": 2})) == "one"
    assert (await there(store, "one")).body == {"n": 1}


async def test_a_commit_tells_the_etags_that_a_read_has(store: DocumentStore) -> None:
    both = [Create(id="one", body={"n": 1}), Create(id="two", body={})]
    first, _ = await store.commit(KEY, both)
    (second,) = await store.commit(KEY, [Replace(id="one", body={"n": 2}, etag=first)])
    assert second == (await there(store, "one")).etag
    (alone,) = await store.commit(KEY, [Create(id="three", body={})])
    assert alone == (await there(store, "three")).etag


async def test_every_write_changes_the_etag_and_a_read_does_not(store: DocumentStore) -> None:
    await create(store, "one", n=1)
    etags = [(await there(store, "one")).etag]
    assert (await there(store, "one")).etag == etags[0]
    await store.commit(KEY, [Replace(id="one", body={"n": 1}, etag=etags[0])])
    etags.append((await there(store, "one")).etag)
    await store.commit(KEY, [Add(id="one", amounts={"n": 0})])
    etags.append((await there(store, "one")).etag)
    await store.commit(KEY, [Delete(id="one"), Create(id="one", body={"n": 1})])
    etags.append((await there(store, "one")).etag)
    assert len(set(etags)) == 4


@pytest.mark.parametrize("etag", ["", "0", "-1", "none", "1e400", "é"])
async def test_a_malformed_etag_matches_nothing(store: DocumentStore, etag: str) -> None:
    await create(store, "one")
    assert await refused(store, Conflict, Replace(id="one", body={}, etag=etag)) == "one"
    assert await refused(store, Conflict, Delete(id="one", etag=etag)) == "one"


async def test_a_replacement_needs_the_current_etag(store: DocumentStore) -> None:
    await create(store, "one", n=1)
    first = (await there(store, "one")).etag
    await store.commit(KEY, [Replace(id="one", body={"n": 2}, etag=first)])
    assert await refused(store, Conflict, Replace(id="one", body={"n": 3}, etag=first)) == "one"
    assert (await there(store, "one")).body == {"n": 2}


async def test_a_deleted_document_is_not_replaced(store: DocumentStore) -> None:
    await create(store, "one")
    etag = (await there(store, "one")).etag
    await store.commit(KEY, [Delete(id="one", etag=etag)])
    assert await refused(store, Conflict, Replace(id="one", body={}, etag=etag)) == "one"
    await create(store, "one")
    assert await refused(store, Conflict, Replace(id="one", body={}, etag=etag)) == "one"


async def test_a_deletion_needs_no_etag_but_honours_one(store: DocumentStore) -> None:
    await create(store, "one", "two")
    old = (await there(store, "one")).etag
    await store.commit(KEY, [Replace(id="one", body={}, etag=old)])
    assert await refused(store, Conflict, Delete(id="one", etag=old)) == "one"
    await store.commit(KEY, [Delete(id="one", etag=(await there(store, "one")).etag), Delete(id="two")])
    assert await ids(store) == []
    await store.commit(KEY, [Delete(id="one", etag=old), Delete(id="two")])


async def test_an_addition_counts_an_absent_field_as_nothing(store: DocumentStore) -> None:
    await create(store, "one", kept="as it is", a=5)
    await store.commit(KEY, [Add(id="one", amounts={"a": -7, "b": 2**52})])
    assert (await there(store, "one")).body == {"kept": "as it is", "a": -2, "b": 2**52}


async def test_an_addition_needs_a_document(store: DocumentStore) -> None:
    assert await refused(store, Conflict, Add(id="one", amounts={"a": 1})) == "one"
    assert await store.read(KEY, "one") is None


@pytest.mark.parametrize("value", ["1", 1.5, None, [1], True])
async def test_an_addition_needs_whole_numbers(store: DocumentStore, value: object) -> None:
    await create(store, "one", a=value)
    await refused(store, Invalid, Add(id="one", amounts={"a": 1}))
    assert (await there(store, "one")).body == {"a": value}


@pytest.mark.parametrize(
    ("amounts", "at_most", "fits"),
    [
        ({"a": 2}, {"a": 12}, True),
        ({"a": 3}, {"a": 12}, False),
        ({"a": 1, "b": 1}, {"a": 99, "b": 0}, False),
        ({"b": 1}, {"a": 10}, True),
        ({"b": 1}, {"a": 9}, False),
        ({"a": -1}, {"a": 8}, False),
        ({"a": -2}, {"a": 8}, True),
        ({"b": 1}, {"c": 0}, True),
    ],
)
async def test_an_addition_stays_within_its_limits(
    store: DocumentStore, amounts: dict[str, int], at_most: dict[str, int], *, fits: bool
) -> None:
    await create(store, "one", a=10)
    assert await succeeded(store, Add(id="one", amounts=amounts, at_most=at_most)) is fits
    sums = {name: {"a": 10}.get(name, 0) + amount for name, amount in amounts.items()}
    assert (await there(store, "one")).body == ({"a": 10} | sums if fits else {"a": 10})


async def test_a_thousand_additions_at_once_never_pass_the_limit(stores: tuple[DocumentStore, DocumentStore]) -> None:
    await create(stores[0], "budget", held=0)
    add = Add(id="budget", amounts={"held": 1, "count": 1}, at_most={"held": 300})
    done = await asyncio.gather(*(succeeded(stores[number % 2], add) for number in range(1000)))
    assert done.count(True) == 300
    assert (await there(stores[1], "budget")).body == {"held": 300, "count": 300}


FAILURES: dict[str, tuple[Operation, type[GanglionError]]] = {
    "create": (Create(id="there", body={"n": 2}), Conflict),
    "replace": (Replace(id="there", body={"n": 2}, etag="-"), Conflict),
    "replace what is gone": (Replace(id="gone", body={}, etag="1"), Conflict),
    "delete": (Delete(id="there", etag="-"), Conflict),
    "add to nothing": (Add(id="gone", amounts={"n": 1}), Conflict),
    "add too much": (Add(id="there", amounts={"n": 1}, at_most={"n": 1}), Exhausted),
}


@pytest.mark.parametrize("position", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("failing", FAILURES)
async def test_a_batch_that_fails_anywhere_changes_nothing(store: DocumentStore, failing: str, position: int) -> None:
    await create(store, "there", "counted", "deleted", "replaced", n=1)
    before = await store.list(KEY, prefix="")
    operations: list[Operation] = [
        Create(id="new", body={}),
        Add(id="counted", amounts={"n": 1}),
        Delete(id="deleted"),
        Replace(id="replaced", body={"n": 9}, etag=(await there(store, "replaced")).etag),
    ]
    operation, error = FAILURES[failing]
    operations.insert(position, operation)
    assert await refused(store, error, *operations) == operation.id
    assert await store.list(KEY, prefix="") == before


async def test_a_batch_is_done_in_its_order(store: DocumentStore) -> None:
    await store.commit(
        KEY,
        [
            Create(id="one", body={"n": 1}),
            Add(id="one", amounts={"n": 1}, at_most={"n": 2}),
            Create(id="two", body={}),
            Delete(id="two"),
            Create(id="two", body={"again": True}),
        ],
    )
    assert (await there(store, "one")).body == {"n": 2}
    assert (await there(store, "two")).body == {"again": True}
    assert await refused(store, Conflict, Create(id="three", body={}), Create(id="three", body={})) == "three"
    assert await store.read(KEY, "three") is None


async def test_a_batch_has_one_to_a_hundred_operations(store: DocumentStore) -> None:
    hundred = [Create(id=f"{number:03d}", body={"number": number}) for number in range(100)]
    await refused(store, Invalid)
    await refused(store, Invalid, *hundred, Delete(id="x"))
    assert await ids(store) == []
    await store.commit(KEY, hundred)
    assert await ids(store) == [one.id for one in hundred]


@pytest.mark.parametrize(("text", "bytes_each"), [("a", 1), ("é", 2), ("語", 3), ("😀", 4)])
async def test_a_batch_has_at_most_two_megabytes_in_utf8(store: DocumentStore, text: str, bytes_each: int) -> None:
    def batch(size: int) -> Sequence[Operation]:
        room = size // 2 - len('{"t":""}') - 1
        return [Create(id=name, body={"t": text * (room // bytes_each)}) for name in "ab"]

    await refused(store, Invalid, *batch(BYTES_LIMIT + 10))
    assert await ids(store) == []
    await store.commit(KEY, batch(BYTES_LIMIT))
    assert len((await there(store, "b")).body["t"]) > BYTES_LIMIT // 2 // bytes_each - 20


async def test_an_addition_has_at_most_ten_counters(store: DocumentStore) -> None:
    await create(store, "one")
    await refused(store, Invalid, Add(id="one", amounts={f"n{number}": 1 for number in range(11)}))
    await store.commit(KEY, [Add(id="one", amounts={f"n{number}": 1 for number in range(10)})])


@pytest.mark.parametrize("identifier", ["", "a/b", "a\\b", "a?b", "a#b", "é", "a\x00", "a\nb", "a" * 256, "\ud800"])
async def test_an_id_that_not_every_store_accepts_is_rejected(store: DocumentStore, identifier: str) -> None:
    for operation in (Create(id=identifier, body={}), Delete(id=identifier), Add(id=identifier, amounts={})):
        await refused(store, Invalid, operation)
    with pytest.raises(Invalid):
        await store.read(KEY, identifier)


@pytest.mark.parametrize("parts", [(), ("tenant",), ("tenant", "user:1"), ("tenant", "", "a"), ("t", "u", "a", "b")])
async def test_an_incomplete_key_is_a_programming_error(store: DocumentStore, parts: tuple[str, ...]) -> None:
    key = DocumentKey(container=Container.TURNS, parts=parts)
    with pytest.raises(ValueError, match="not a full partition key"):
        await store.commit(key, [Create(id="one", body={})])
    with pytest.raises(ValueError, match="not a full partition key"):
        await store.read(key, "one")
    with pytest.raises(ValueError, match="not a full partition key"):
        await store.list(key, prefix="")


async def test_one_of_many_replacements_with_one_etag_succeeds(stores: tuple[DocumentStore, DocumentStore]) -> None:
    await create(stores[0], "one")
    etag = (await there(stores[0], "one")).etag
    tries = [Replace(id="one", body={"winner": number}, etag=etag) for number in range(100)]
    won = await asyncio.gather(*(succeeded(stores[number % 2], one) for number, one in enumerate(tries)))
    assert won.count(True) == 1
    assert (await there(stores[1], "one")).body == {"winner": won.index(True)}


async def test_one_of_many_creations_of_an_id_succeeds(stores: tuple[DocumentStore, DocumentStore]) -> None:
    tries = [Create(id="one", body={"winner": number}) for number in range(100)]
    won = await asyncio.gather(*(succeeded(stores[number % 2], one) for number, one in enumerate(tries)))
    assert won.count(True) == 1
    assert (await there(stores[1], "one")).body == {"winner": won.index(True)}


async def test_a_write_of_one_store_is_read_by_another_at_once(
    stores: tuple[DocumentStore, DocumentStore], clock: FakeClock
) -> None:
    writer, reader = stores
    for number in range(20):
        await create(writer, f"n{number:02d}", kind="k", status="s", at=clock.now())
        assert (await there(reader, f"n{number:02d}")).body["kind"] == "k"
        assert len(await ids(reader)) == number + 1
        assert len(await reader.find(KEY.container, kind="k", status="s", before=1e12)) == number + 1
        writer, reader = reader, writer


async def test_a_field_that_a_document_lacks_is_reported_with_its_id(store: DocumentStore) -> None:
    await store.commit(KEY, [Create(id="one", body={"kind": "x", "status": "s", "at": 1.0})])
    found = await store.read(KEY, "one")
    assert found is not None
    with pytest.raises(DamagedRecord, match="'one' is damaged"):
        found.body["response"]
    for [each] in (
        await store.list(KEY, prefix=""),
        [one.document for one in await store.find(Container.TURNS, kind="x", status="s", before=2.0)],
    ):
        with pytest.raises(DamagedRecord):
            each.read_as(lambda body: body["at"]["nested"])
