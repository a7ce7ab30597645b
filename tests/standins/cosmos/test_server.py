"""Does the local Cosmos DB answer azure-cosmos like the real one?"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from clients.storage.cosmos.account import connected
from tests.fakes.servers.cosmos import LocalCosmos, local_cosmos

KEY = ["tenant", "user:1", "thread"]
LEVELS = dict(zip(("tenant", "subject", "thread"), KEY, strict=True))
ALL = "SELECT * FROM c"


@dataclass(frozen=True, slots=True, kw_only=True)
class CosmosBench:
    """A database of one's own in the server, with a container of a hierarchical key; `any` is untyped on purpose."""

    server: LocalCosmos
    client: CosmosClient
    database: Any
    any: Any

    async def create(self, *identifiers: str, **fields: Any) -> None:
        for identifier in identifiers:
            await self.any.create_item({"id": identifier, **LEVELS, **fields})

    async def read(self, identifier: str = "one", key: list[str] = KEY) -> dict[str, Any]:
        return dict(await self.any.read_item(identifier, key))

    async def ids(self, text: str = ALL, **options: Any) -> list[str]:
        return [item["id"] async for item in self.any.query_items(text, **({"partition_key": KEY} | options))]


@pytest.fixture
async def bench() -> AsyncIterator[CosmosBench]:
    server = local_cosmos()
    async with connected(server.account(), now=0) as client:
        database = await client.create_database(f"checks-{secrets.token_hex(6)}")
        path = [f"/{level}" for level in LEVELS]
        container = await database.create_container("items", PartitionKey(path=path, kind="MultiHash"), default_ttl=-1)
        yield CosmosBench(server=server, client=client, database=database, any=container)
        await client.delete_database(database.id)


async def status_of(request: Any) -> tuple[int, int | None]:
    """Return the status and the substatus with which a request is refused."""
    with pytest.raises(CosmosHttpResponseError) as refused:
        await request
    told: Any = refused.value
    return told.status_code, told.sub_status


async def batch_refused(bench: CosmosBench, operations: list[Any]) -> tuple[int, int, list[int]]:
    """Return which operation of a batch fails and how, and what is said of each."""
    with pytest.raises(CosmosBatchOperationError) as refused:
        await bench.any.execute_item_batch(operations, KEY)
    told: Any = refused.value
    return told.error_index, told.status_code, [each["statusCode"] for each in told.operation_responses]


async def test_an_item_is_created_read_replaced_and_deleted(bench: CosmosBench) -> None:
    await bench.create("one", n=1, text='日本語 👩🏽‍🚀 "\\\n\u2028')
    one = await bench.read()
    assert (one["n"], one["text"]) == (1, '日本語 👩🏽‍🚀 "\\\n\u2028')
    await bench.any.replace_item("one", one | {"n": 2})
    await bench.any.upsert_item({"id": "two", **LEVELS})
    await bench.any.upsert_item({"id": "two", **LEVELS, "n": 3})
    assert [(await bench.read(name))["n"] for name in ("one", "two")] == [2, 3]
    await bench.any.delete_item("one", KEY)
    assert await bench.ids() == ["two"]


@pytest.mark.parametrize("identifier", ["a b", "a%41", "a+b", 'a"b', "a'b", "a:b@c", "~", "a&b=c;d"])
async def test_an_id_may_contain_any_allowed_character(bench: CosmosBench, identifier: str) -> None:
    await bench.create(identifier, n=1)
    assert (await bench.read(identifier))["id"] == identifier
    await bench.any.patch_item(identifier, KEY, [{"op": "incr", "path": "/n", "value": 1}])
    assert await bench.ids() == [identifier]


async def test_a_missing_item_is_404_and_an_existing_one_is_409(bench: CosmosBench) -> None:
    await bench.create("one")
    assert await status_of(bench.any.read_item("none", KEY)) == (404, 0)
    assert await status_of(bench.any.delete_item("none", KEY)) == (404, 0)
    assert await status_of(bench.any.replace_item("none", {"id": "none", **LEVELS})) == (404, 0)
    assert await status_of(bench.any.patch_item("none", KEY, [{"op": "set", "path": "/n", "value": 1}])) == (404, 0)
    assert (await status_of(bench.any.create_item({"id": "one", **LEVELS})))[0] == 409
    nowhere = bench.database.get_container_client("nowhere")
    assert (await status_of(nowhere.read_item("one", KEY)))[0] == 404


async def test_an_etag_changes_with_every_write_and_guards_it(bench: CosmosBench) -> None:
    await bench.create("one", n=1)
    first = await bench.read()
    guard = {"etag": first["_etag"], "match_condition": MatchConditions.IfNotModified}
    await bench.any.replace_item("one", first, **guard)
    assert (await bench.read())["_etag"] != first["_etag"]
    assert (await status_of(bench.any.replace_item("one", first, **guard)))[0] == 412
    assert (await status_of(bench.any.delete_item("one", KEY, **guard)))[0] == 412
    change = [{"op": "set", "path": "/n", "value": 2}]
    assert (await status_of(bench.any.patch_item("one", KEY, change, **guard)))[0] == 412


async def test_an_item_is_found_only_under_its_whole_key(bench: CosmosBench) -> None:
    await bench.create("one", n=1)
    for level in LEVELS:
        other = LEVELS | {level: "other"}
        assert (await status_of(bench.any.read_item("one", list(other.values()))))[0] == 404
        await bench.any.create_item({"id": "one", **other, "n": 2})
    assert (await bench.read())["n"] == 1
    assert await bench.ids() == ["one"]
    assert len(await bench.ids(partition_key=None)) == 4
    assert (await status_of(bench.any.read_item("one", KEY[:2])))[0] == 400


async def test_a_query_with_a_key_sees_no_other_partition(bench: CosmosBench) -> None:
    await bench.create("one", n=1)
    await bench.any.create_item({"id": "other", **(LEVELS | {"tenant": "other"}), "n": 1})
    parameters = [{"name": "@n", "value": 1}]
    assert await bench.ids("SELECT * FROM c WHERE c.n = @n OR true", parameters=parameters) == ["one"]
    assert await bench.ids(ALL, partition_key=["other", *KEY[1:]]) == ["other"]
    assert await bench.ids(ALL, partition_key=["nobody", *KEY[1:]]) == []


async def test_a_prefix_of_the_key_finds_everything_below_it(bench: CosmosBench) -> None:
    for tenant in ("t1", "t2"):
        for subject in ("u1", "u2"):
            for thread in ("a", "b"):
                name = f"{tenant}-{subject}-{thread}"
                await bench.any.create_item({"id": name, "tenant": tenant, "subject": subject, "thread": thread})
    assert sorted(await bench.ids(partition_key=["t1"])) == ["t1-u1-a", "t1-u1-b", "t1-u2-a", "t1-u2-b"]
    assert sorted(await bench.ids(partition_key=["t2", "u1"])) == ["t2-u1-a", "t2-u1-b"]
    assert await bench.ids(partition_key=["t1", "u1", "b"]) == ["t1-u1-b"]
    assert await bench.ids(partition_key=["t3"]) == []


async def test_a_query_orders_skips_and_limits(bench: CosmosBench) -> None:
    for number in range(6):
        await bench.create(f"i{number}", n=5 - number)
    assert await bench.ids("SELECT * FROM c ORDER BY c.n OFFSET 1 LIMIT 3") == ["i4", "i3", "i2"]
    assert await bench.ids("SELECT TOP 2 * FROM c ORDER BY c.id DESC") == ["i5", "i4"]
    text = "SELECT * FROM c WHERE c.id > @after AND STARTSWITH(c.id, 'i') ORDER BY c.id"
    assert await bench.ids(text, parameters=[{"name": "@after", "value": "i3"}]) == ["i4", "i5"]
    assert await bench.any.query_items("SELECT VALUE COUNT(1) FROM c", partition_key=KEY).__anext__() == 6


async def test_values_of_other_types_do_not_compare(bench: CosmosBench) -> None:
    for name, value in {"number": 1, "text": "1", "truth": True, "nothing": None}.items():
        await bench.create(name, n=value)
    await bench.create("absent")
    assert await bench.ids("SELECT * FROM c WHERE c.n < 5") == ["number"]
    assert await bench.ids("SELECT * FROM c WHERE NOT IS_DEFINED(c.n)") == ["absent"]


async def test_a_query_across_partitions_is_ordered_as_a_whole(bench: CosmosBench) -> None:
    for number in range(8):
        fields = LEVELS | {"tenant": f"t{number % 3}"}
        await bench.any.create_item({"id": f"i{number}", **fields, "n": (number * 5) % 8})
    text = "SELECT * FROM c WHERE c.n < @n ORDER BY c.n"
    found = await bench.ids(text, parameters=[{"name": "@n", "value": 6}], partition_key=None, max_item_count=2)
    assert found == ["i0", "i5", "i2", "i7", "i4", "i1"]
    assert (
        len(await bench.ids(f"{text} OFFSET 1 LIMIT 2", parameters=[{"name": "@n", "value": 6}], partition_key=None))
        == 2
    )


async def test_a_continuation_resumes_where_a_page_ended(bench: CosmosBench) -> None:
    await bench.create(*(f"i{number}" for number in range(7)))
    seen: list[list[str]] = []
    token: str | None = None
    while True:
        options = {"partition_key": KEY, "max_item_count": 3}
        pages = bench.any.query_items(f"{ALL} ORDER BY c.id", **options).by_page(token)
        seen.append([item["id"] async for item in await anext(pages)])
        token = pages.continuation_token
        if not token:
            break
    assert seen == [["i0", "i1", "i2"], ["i3", "i4", "i5"], ["i6"]]


async def test_a_batch_is_applied_atomically_and_in_order(bench: CosmosBench) -> None:
    await bench.create("old", n=1)
    etag = (await bench.read("old"))["_etag"]
    done = await bench.any.execute_item_batch(
        [
            ("create", ({"id": "new", **LEVELS, "n": 1},)),
            (
                "patch",
                ("new", [{"op": "incr", "path": "/n", "value": 2}]),
                {"filter_predicate": "FROM c WHERE c.n = 1"},
            ),
            ("replace", ("old", {"id": "old", **LEVELS, "n": 9}), {"if_match_etag": etag}),
            ("upsert", ({"id": "more", **LEVELS},)),
            ("delete", ("more",)),
            ("read", ("new",)),
        ],
        KEY,
    )
    assert [each["statusCode"] for each in done] == [201, 200, 200, 201, 204, 200]
    assert [(await bench.read(name))["n"] for name in ("new", "old")] == [3, 9]
    assert sorted(await bench.ids()) == ["new", "old"]


FAILING: dict[str, tuple[Any, int]] = {
    "create": (("create", ({"id": "one", **LEVELS},)), 409),
    "replace": (("replace", ("one", {"id": "one", **LEVELS}), {"if_match_etag": '"no"'}), 412),
    "replace nothing": (("replace", ("none", {"id": "none", **LEVELS})), 404),
    "delete": (("delete", ("none",)), 404),
    "patch": (
        ("patch", ("one", [{"op": "incr", "path": "/n", "value": 1}]), {"filter_predicate": "FROM c WHERE c.n > 1"}),
        412,
    ),
}


@pytest.mark.parametrize("failing", FAILING)
async def test_a_batch_that_fails_changes_nothing(bench: CosmosBench, failing: str) -> None:
    await bench.create("one", "two", n=1)
    before = [await bench.read(name) for name in ("one", "two")]
    operation, status = FAILING[failing]
    batch = [
        ("create", ({"id": "new", **LEVELS},)),
        ("delete", ("two",)),
        operation,
        ("create", ({"id": "x", **LEVELS},)),
    ]
    assert await batch_refused(bench, batch) == (2, status, [424, 424, status, 424])
    assert [await bench.read(name) for name in ("one", "two")] == before
    assert await bench.ids() == ["one", "two"]


async def test_a_batch_has_at_most_a_hundred_operations_of_one_key(bench: CosmosBench) -> None:
    hundred = [("create", ({"id": f"i{number}", **LEVELS},)) for number in range(100)]
    assert len(await bench.any.execute_item_batch(hundred, KEY)) == 100
    assert (await status_of(bench.any.execute_item_batch([*hundred, ("delete", ("i0",))], KEY)))[0] == 400
    other = ("create", ({"id": "new", **(LEVELS | {"thread": "other"})},))
    assert (await batch_refused(bench, [("delete", ("i1",)), other]))[:2] == (1, 400)


async def test_a_patch_changes_what_its_predicate_allows(bench: CosmosBench) -> None:
    await bench.create("one", n=5, deep={"list": [1]})
    changes = [
        {"op": "incr", "path": "/n", "value": -2},
        {"op": "incr", "path": "/absent", "value": 7},
        {"op": "set", "path": "/deep/new", "value": {"k": None}},
        {"op": "add", "path": "/deep/list/-", "value": 2},
    ]
    await bench.any.patch_item("one", KEY, changes, filter_predicate='FROM Item c WHERE c.n <= 5 AND c.id = "one"')
    one = await bench.read()
    assert (one["n"], one["absent"], one["deep"]) == (3, 7, {"list": [1, 2], "new": {"k": None}})
    refused = bench.any.patch_item("one", KEY, changes[:1], filter_predicate="FROM c WHERE c.n > 3")
    assert (await status_of(refused))[0] == 412
    for odd in ({"op": "incr", "path": "/deep", "value": 1}, {"op": "set", "path": "/tenant", "value": "x"}):
        assert (await status_of(bench.any.patch_item("one", KEY, [odd])))[0] == 400
    assert (await bench.read())["n"] == 3


async def test_concurrent_patches_respect_their_predicate(bench: CosmosBench) -> None:
    await bench.create("one", n=0)
    change = [{"op": "incr", "path": "/n", "value": 1}]
    tries = [bench.any.patch_item("one", KEY, change, filter_predicate="FROM c WHERE c.n <= 9") for _ in range(40)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(each, Exception) for each in done) == 10
    assert (await bench.read())["n"] == 10


async def test_an_item_disappears_after_its_time_to_live(bench: CosmosBench) -> None:
    await bench.create("short", ttl=1)
    await bench.create("kept", ttl=-1)
    await bench.create("usual")
    deadline = asyncio.get_running_loop().time() + 60
    while await bench.ids() != ["kept", "usual"]:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)
    assert await status_of(bench.any.read_item("short", KEY)) == (404, 0)
    await bench.create("short")
    assert (await status_of(bench.any.create_item({"id": "odd", **LEVELS, "ttl": 0})))[0] == 400


async def test_new_policies_keep_the_items(bench: CosmosBench) -> None:
    await bench.create("one")
    key = PartitionKey(path=[f"/{level}" for level in LEVELS], kind="MultiHash")
    await bench.database.replace_container(
        "items", key, default_ttl=100, indexing_policy={"indexingMode": "consistent"}
    )
    assert await bench.ids() == ["one"]
    assert (await bench.any.read())["defaultTtl"] == 100


async def test_every_answer_has_a_charge_and_a_session(bench: CosmosBench) -> None:
    await bench.create("one", text="x" * 900)
    headers = (await bench.any.read_item("one", KEY)).get_response_headers()
    assert 0 < float(headers["x-ms-request-charge"]) < 5
    assert headers["x-ms-session-token"].startswith("0:-1#")


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_large_item_is_rejected(bench: CosmosBench) -> None:
    assert (await status_of(bench.any.create_item({"id": "big", **LEVELS, "text": "é" * 2**20})))[0] == 413
