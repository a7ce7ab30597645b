"""How does the Cosmos store handle faults, request units, keys, lost replies and delays?"""

import asyncio
import json
from collections.abc import AsyncIterator
from copy import replace
from dataclasses import dataclass
from typing import Any

import pytest
from azure.cosmos import PartitionKey

from clients.storage.cosmos.account import connected
from clients.storage.cosmos.containers import DEFINITIONS
from clients.storage.cosmos.settings import CosmosAccount
from clients.storage.cosmos.setup import set_up
from clients.storage.cosmos.store import CosmosStore
from clients.storage.port import Add, Container, Create, Delete, DocumentKey, Operation, Replace
from clients.storage.request_units import RequestCharge, metered
from domain.errors import Conflict, GanglionError, Invalid, Terminal, Unavailable, UnknownOutcome
from tests.fakes.clocks import FakeClock
from tests.fakes.servers.cosmos import LocalCosmos, local_cosmos

pytestmark = pytest.mark.slow

KEY = DocumentKey(container=Container.TURNS, parts=("tenant", "user:1", "a" * 24))
NEW = Create(id="one", body={"n": 1})
PAIR: tuple[Operation, ...] = (NEW, Create(id="two", body={}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A store over a database of its own, and the server's own view of it."""

    server: LocalCosmos
    account: CosmosAccount
    store: CosmosStore
    clock: FakeClock

    def go_wrong(self, *faults: dict[str, Any]) -> None:
        self.server.plan_faults(*({"path": self.account.database} | fault for fault in faults))

    def asked(self) -> list[dict[str, Any]]:
        """Return the requests on this database's documents."""
        return [
            each
            for each in self.server.requests()
            if f"{self.account.database}/" in each["path"] and "/docs" in each["path"]
        ]

    async def ids(self, key: DocumentKey = KEY) -> list[str]:
        return [document.id for document in await self.store.list(key, prefix="")]


@pytest.fixture
def account() -> CosmosAccount:
    return local_cosmos().emptied()


@pytest.fixture
async def scene(account: CosmosAccount) -> AsyncIterator[Scene]:
    clock = FakeClock()
    store = CosmosStore(account, clock)
    yield Scene(server=local_cosmos(), account=account, store=store, clock=clock)
    local_cosmos().plan_faults()
    await store.close()


WRITES: dict[str, tuple[Operation, ...]] = {"point": (NEW,), "batch": PAIR}
LATER: dict[str, Operation] = {
    "replace": Replace(id="one", body={"n": 6}, etag=""),
    "add": Add(id="one", amounts={"n": 5}),
    "delete": Delete(id="one"),
}
NOT_DONE = [{"status": 429, "retryAfterMs": 20}, {"status": 449}, {"status": 410, "substatus": 1007}]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("fault", NOT_DONE, ids=lambda fault: str(fault["status"]))
async def test_a_request_that_was_not_done_is_repeated(scene: Scene, fault: dict[str, Any], write: str) -> None:
    await scene.ids()
    scene.go_wrong(fault | {"times": 2})
    await scene.store.commit(KEY, WRITES[write])
    assert await scene.ids() == [operation.id for operation in WRITES[write]]
    assert [each["status"] for each in scene.asked()][1:4] in (
        [fault["status"]] * 2 + [201],
        [fault["status"]] * 2 + [200],
    )
    assert len(scene.clock.slept) == 2


async def test_the_servers_delay_is_respected_and_a_long_one_is_left_to_the_caller(scene: Scene) -> None:
    await scene.ids()
    scene.go_wrong({"status": 429, "retryAfterMs": 200}, {"status": 429, "retryAfterMs": 7500})
    with pytest.raises(Unavailable) as failure:
        await scene.store.commit(KEY, [NEW])
    assert failure.value.delay_s == 7.5
    assert len(scene.clock.slept) == 1
    assert 0.2 <= scene.clock.slept[0] <= 0.3
    assert await scene.ids() == []


async def test_a_store_that_stays_busy_is_unavailable_within_a_second(scene: Scene) -> None:
    await scene.ids()
    scene.go_wrong({"status": 449, "times": 100})
    with pytest.raises(Unavailable):
        await scene.store.commit(KEY, [NEW])
    assert sum(scene.clock.slept) <= 1.5
    assert 3 <= len(scene.clock.slept) <= 10


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_a_write_with_a_servers_failure_may_have_been_done_and_is_not_repeated(
    scene: Scene, status: int, write: str
) -> None:
    await scene.ids()
    before = len(scene.asked())
    for when in ("before", "after"):
        scene.go_wrong({"status": status, "when": when})
        with pytest.raises(UnknownOutcome):
            await scene.store.commit(KEY, WRITES[write])
    assert len(scene.asked()) == before + 2
    assert await scene.ids() == [operation.id for operation in WRITES[write]]


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_whose_connection_breaks_may_have_been_done_and_is_not_repeated(scene: Scene, write: str) -> None:
    await scene.ids()
    scene.go_wrong({"when": "lost"})
    with pytest.raises(UnknownOutcome):
        await scene.store.commit(KEY, WRITES[write])
    posts = [each for each in scene.asked() if "query" not in each]
    assert len(posts) == 1
    assert await scene.ids() == [operation.id for operation in WRITES[write]]


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"status": 408}, {"when": "lost"}, {"status": 404, "substatus": 1002}]
)
async def test_a_failed_read_is_repeated(scene: Scene, fault: dict[str, Any]) -> None:
    await scene.store.commit(KEY, [NEW])
    scene.go_wrong(fault)
    assert (await scene.store.read(KEY, "one") or NEW).body == {"n": 1}
    scene.go_wrong(fault)
    assert await scene.ids() == ["one"]
    scene.go_wrong(fault | {"times": 100})
    with pytest.raises(Unavailable):
        await scene.store.read(KEY, "one")


@pytest.mark.parametrize("write", LATER)
async def test_a_write_whose_reply_is_lost_is_done_once(scene: Scene, write: str) -> None:
    await scene.store.commit(KEY, [NEW])
    there = await scene.store.read(KEY, "one")
    assert there is not None
    operation = LATER[write]
    if isinstance(operation, Replace):
        operation = replace(operation, etag=there.etag)
    before = len(scene.asked())
    scene.go_wrong({"when": "lost"})
    with pytest.raises(UnknownOutcome):
        await scene.store.commit(KEY, [operation])
    assert len(scene.asked()) == before + 1
    after = await scene.store.read(KEY, "one")
    assert (after and after.body) == (None if write == "delete" else {"n": 6})


@pytest.mark.parametrize(("status", "error"), [(400, Terminal), (401, Terminal), (403, Terminal), (413, Invalid)])
async def test_a_rejected_request_is_terminal(scene: Scene, status: int, error: type[GanglionError]) -> None:
    await scene.ids()
    scene.go_wrong({"status": status})
    with pytest.raises(error):
        await scene.store.commit(KEY, [NEW])
    assert scene.clock.slept == []


async def test_a_conflict_without_a_cause_is_a_conflict(scene: Scene) -> None:
    await scene.store.commit(KEY, [NEW])
    there = await scene.store.read(KEY, "one")
    assert there is not None
    scene.go_wrong({"status": 412})
    with pytest.raises(Conflict) as failure:
        await scene.store.commit(KEY, [Replace(id="one", body={}, etag=there.etag)])
    assert failure.value.identifier == "one"


async def test_a_missing_database_is_reported_with_the_setup_command() -> None:
    account = replace(local_cosmos().account(), database="nowhere")
    store = CosmosStore(account, FakeClock())
    asked = [store.read(KEY, "one"), store.list(KEY, prefix=""), store.commit(KEY, PAIR), store.commit(KEY, [NEW])]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(each) for each in found} == {Terminal}
    assert {"not set up" in str(each) for each in found} == {True}
    await store.close()


async def test_an_account_with_weak_consistency_is_rejected(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clients.storage.cosmos.account.CONSISTENCIES", ("Stronger",))
    with pytest.raises(Terminal, match="the account's default consistency is Strong; set it to Stronger"):
        await scene.store.read(KEY, "one")


async def test_an_unreachable_account_is_unavailable_to_all_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_COSMOS_HEALTH_CHECK_MAX_RETRIES", "0")
    account = replace(local_cosmos().account(), url="https://127.0.0.1:9")
    store = CosmosStore(account, FakeClock())
    asked = await asyncio.gather(*(store.read(KEY, "one") for _ in range(50)), return_exceptions=True)
    assert {type(each) for each in asked} == {Unavailable}
    with pytest.raises(Unavailable):
        await store.commit(KEY, [NEW])
    await store.close()


async def test_a_closed_store_is_unavailable_and_may_be_closed_again(scene: Scene) -> None:
    await scene.ids()
    await scene.store.close()
    await scene.store.close()
    with pytest.raises(Unavailable, match="closed"):
        await scene.store.read(KEY, "one")


async def test_every_request_but_find_names_its_whole_key(scene: Scene) -> None:
    await scene.store.commit(KEY, PAIR)
    await scene.store.commit(KEY, [Create(id="three", body={})])
    there = await scene.store.read(KEY, "one")
    assert there is not None
    await scene.store.commit(KEY, [Replace(id="one", body={"n": 1}, etag=there.etag), Add(id="one", amounts={"n": 1})])
    await scene.store.commit(KEY, [Add(id="one", amounts={"n": 1})])
    await scene.store.commit(KEY, [Delete(id="two")])
    await scene.ids()
    asked = scene.asked()
    assert {each.get("key") for each in asked} == {json.dumps(KEY.parts, separators=(",", ":"))}
    assert not any(each["across"] for each in asked)
    await scene.store.find(Container.TURNS, kind="k", status="s", before=1)
    assert scene.asked()[-1].get("key") is None


async def test_one_operation_is_one_request_and_so_is_a_batch(scene: Scene) -> None:
    await scene.ids()
    before = len(scene.asked())
    await scene.store.commit(KEY, [NEW])
    await scene.store.commit(KEY, [Create(id=f"i{number}", body={}) for number in range(100)])
    await scene.store.read(KEY, "one")
    await scene.store.list(KEY, prefix="i")
    assert len(scene.asked()) == before + 4


async def test_request_units_are_summed_for_each_meter(scene: Scene) -> None:
    await scene.ids()
    with metered() as turn:
        with metered() as write:
            await scene.store.commit(KEY, PAIR)
        await asyncio.gather(*(scene.store.read(KEY, "one") for _ in range(3)))
        with pytest.raises(Conflict):
            await scene.store.commit(KEY, [NEW])
    assert write == RequestCharge(units=10.0, requests=1)
    charges = [each["charge"] for each in scene.asked()][-6:]
    assert turn.units == pytest.approx(sum(charges))
    assert turn.requests == 6
    await scene.store.read(KEY, "one")
    assert turn.requests == 6


async def test_documents_carry_their_time_to_live(scene: Scene) -> None:
    soon = scene.clock.now() + 30.5
    await scene.store.commit(KEY, [Create(id="soon", body={}, expires_at=soon), Create(id="kept", body={})])
    async with connected(scene.account, now=0) as client:
        container: Any = client.get_database_client(scene.account.database).get_container_client("turns")
        items = {
            item["id"]: item async for item in container.query_items("SELECT * FROM c", partition_key=list(KEY.parts))
        }
    assert items["soon"]["ttl"] == 31 + 60
    assert "ttl" not in items["kept"]


@pytest.mark.parametrize("number", [2**53 + 1, -(2**53) - 1, 10**30])
async def test_a_whole_number_that_a_double_cannot_hold_is_rejected(scene: Scene, number: int) -> None:
    with pytest.raises(Invalid, match="cannot represent exactly"):
        await scene.store.commit(KEY, [Create(id="one", body={"deep": [{"n": number}]})])
    assert await scene.ids() == []


@pytest.mark.parametrize("name", ["a.b", "a/b", "", "1a", "a b", 'a"', "é"])
async def test_a_counter_that_a_path_cannot_name_is_rejected(scene: Scene, name: str) -> None:
    await scene.store.commit(KEY, [NEW])
    with pytest.raises(Invalid, match="counter"):
        await scene.store.commit(KEY, [Add(id="one", amounts={name: 1})])


async def test_a_deletion_in_a_batch_proves_that_nothing_is_there(scene: Scene) -> None:
    await scene.store.commit(KEY, [Delete(id="two"), NEW])
    assert await scene.ids() == ["one"]
    writes = [each["status"] for each in scene.asked() if "query" not in each]
    assert writes == [207, 200]


async def test_set_up_is_safe_to_repeat_and_brings_policies_up_to_date(scene: Scene) -> None:
    await scene.store.commit(KEY, [NEW])
    async with connected(scene.account, now=0) as client:
        database: Any = client.get_database_client(scene.account.database)
        for wanted in DEFINITIONS:
            container = database.get_container_client(wanted.container.value)
            there = await container.read()
            assert there["partitionKey"]["paths"] == list(wanted.paths)
            assert there["indexingPolicy"] == wanted.indexing
        key = PartitionKey(path=list(DEFINITIONS[0].paths), kind="MultiHash")
        await database.replace_container("turns", key, indexing_policy={"indexingMode": "consistent"}, default_ttl=5)
        for _ in range(2):
            await set_up(scene.account, now=0)
        there = await database.get_container_client("turns").read()
    assert (there["indexingPolicy"], there["defaultTtl"]) == (DEFINITIONS[0].indexing, -1)
    assert await scene.ids() == ["one"]
