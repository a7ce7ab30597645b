"""Is a turn the same over Cosmos DB: streamed, killed, throttled, cut off, and charged?"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from copy import replace
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx
import pytest

from domain.identity.owners import Owner
from standins.cluster.local_cluster import LocalCluster
from tests.checks import every
from tests.end_to_end.books import ALICE, owner_named
from tests.end_to_end.callers import AFRESH, PINNED, Json, asking, calling, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.kills.test_survival import VICTIMS, assert_survived, followed_through
from tests.end_to_end.stores.cosmos_books import cosmos_books_of
from tests.end_to_end.stores.talks import long_talk_is_answered, of_two_one_wins, talk_outlives
from tests.fakes.servers.cosmos import local_cosmos
from tests.isolation.people import SECRETS, Person
from tests.isolation.probes import probes
from tests.isolation.watching import is_own

LENGTH = 140
LONGEST_S = 1.7
COSMOS = "cosmos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is beside the cluster's Cosmos DB: its faults and its log of requests."""

    cluster: LocalCluster

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        context = ssl.create_default_context(cafile=self.cluster.environment()["GANGLION_COSMOS_CA"])
        url = f"https://127.0.0.1:{self.cluster.ports[COSMOS]}{path}"
        return httpx.request(method, url, json=body, verify=context).json()

    def plan(self, *faults: Json) -> None:
        self.ask("PUT", "/__faults", list(faults))

    def requests(self) -> list[Json]:
        return [each for each in self.ask("GET", "/__requests")["requests"] if "/docs" in each["path"]]


@pytest.fixture(scope="module")
def cosmos_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    local_cosmos()
    folder = tmp_path_factory.mktemp("cosmos")
    options = hasty(folder, GANGLION_OWNER_BURST="5000", GANGLION_TENANT_BURST="5000")
    with LocalCluster(replace(options, store="cosmos")) as cluster:
        yield cluster


@pytest.fixture
def service(cosmos_cluster: LocalCluster) -> Service:
    return Service(cluster=cosmos_cluster)


@pytest.fixture
async def scene(cosmos_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    async with calling(cosmos_cluster) as caller, cosmos_books_of(cosmos_cluster, monkeypatch) as books:
        await books.forget_backend_states()
        yield Scene(cluster=cosmos_cluster, caller=caller, books=books)


def kill_cosmos(cluster: LocalCluster) -> None:
    cluster.kill_service(COSMOS)
    cluster.restart_service(COSMOS)


def sampled(every: Iterable[str], *normal: str) -> list[object]:
    """All of them are the campaign's; some are of every run."""
    return [pytest.param(each, marks=[] if each in normal else [pytest.mark.campaign]) for each in every]


@pytest.mark.parametrize("victim", sampled([*VICTIMS, COSMOS], "worker", COSMOS))
async def test_a_stream_goes_on_exactly_after_a_kill(scene: Scene, victim: str, random: Random) -> None:
    bodies = [asking(f"COUNT {LENGTH}", model) for model in (PINNED, AFRESH)]
    kill = {**VICTIMS, COSMOS: kill_cosmos}[victim]
    readings = await followed_through(scene, kill, random.uniform(0, LONGEST_S), *bodies)
    await assert_survived(scene, readings, counted(LENGTH))


FAULTS: dict[str, Json] = {
    "busy": {"status": 429, "retryAfterMs": 100},
    "busy for long": {"status": 429, "retryAfterMs": 2500},
    "again": {"status": 449},
    "timeout": {"status": 408, "when": "after"},
    "gone": {"status": 410, "substatus": 1007},
    "unavailable": {"status": 503},
    "unavailable, done": {"status": 503, "when": "after"},
    "answer lost": {"when": "lost"},
}


@pytest.mark.parametrize("fault", sampled(FAULTS, "busy", "unavailable, done", "answer lost"))
async def test_a_turn_is_right_whatever_befalls_its_store(
    scene: Scene, service: Service, fault: str, random: Random
) -> None:
    opened = asyncio.ensure_future(scene.caller.follow(asking("COUNT 60")))
    await asyncio.sleep(0.1)
    faults = [{**FAULTS[fault], "method": "POST", "skip": random.randint(0, 6)} for _ in range(4)]
    await asyncio.to_thread(service.plan, *faults)
    reading = await asyncio.wait_for(opened, 60)
    await asyncio.to_thread(service.plan)
    await assert_survived(scene, [reading], counted(60))


async def test_a_conversation_goes_on(scene: Scene) -> None:
    async with scene.caller.sdk() as sdk:
        first = await sdk.responses.create(model=PINNED, input="ECHO one")
        second = await sdk.responses.create(model=PINNED, input="ECHO two", previous_response_id=first.id)
    assert (first.output_text, second.output_text) == ("one", "two")
    history = await scene.books.turns.history(await scene.books.turns.read(ALICE, second.id))
    assert [item.text for item in history] == ["ECHO one", "one", "ECHO two"]


async def test_of_two_turns_at_once_one_wins_and_the_other_hears_why(scene: Scene) -> None:
    await of_two_one_wins(scene)


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("chain", [False, True])
async def test_a_talk_of_five_hundred_turns_is_answered_without_its_oldest(scene: Scene, *, chain: bool) -> None:
    await long_talk_is_answered(scene, 500, chain=chain)


@pytest.mark.campaign
@pytest.mark.timeout(600)
async def test_a_conversation_outlives_a_kill_in_each_of_its_turns(scene: Scene, random: Random) -> None:
    kills = {**VICTIMS, COSMOS: kill_cosmos}
    drawn = random.sample(sorted(kills), len(kills))
    await talk_outlives(scene, [kills[victim] for victim in drawn], random)


async def test_the_application_signs_in_without_a_key_and_asks_within_one_partition(
    scene: Scene, service: Service
) -> None:
    await asyncio.to_thread(service.ask, "DELETE", "/__requests")
    reading = await scene.caller.follow(asking("COUNT 20"))
    await scene.books.settled(scene.caller, reading.id)
    asked = await asyncio.to_thread(service.requests)
    assert {each["auth"] for each in asked} == {"aad"}
    keyless = [each for each in asked if not each.get("key")]
    assert {each["path"].split("/")[4] for each in keyless} <= {"turns", "money", "fleet"}
    assert every("c.body.status = @status" in each.get("query", "c.body.status = @status") for each in keyless)


def within(asked: Json, whose: Owner) -> bool:
    """Tell whether a request stood under one whole key of the caller's own.

    The sweeper alone asks without a key; a tenant's limits ask turns of the tenant, by their ids, if they have ended.
    """
    if not asked.get("key"):
        return "c.body.status = @status" in asked.get("query", "")
    container, key = asked["path"].split("/")[4], json.loads(asked["key"])
    of_limits = asked["method"] == "GET" and "/docs/resp_" in asked["path"] and key[:1] == [whose.tenant]
    return not asked["across"] and (of_limits or is_own(container, key, whose))


@pytest.mark.campaign
@pytest.mark.parametrize("stranger", [("bob", "contoso"), ("alice", "fabrikam")])
async def test_nothing_of_anothers_is_there_and_nobody_looks_beside_his_own(
    scene: Scene, service: Service, stranger: tuple[str, str]
) -> None:
    http, token = scene.caller.http, scene.cluster.token(*stranger)
    mine = await Person(name="mine", token=scene.caller.token, http=http).create_data()
    other = Person(name="strange", token=token, http=http)
    theirs = await other.create_data()
    for name in ("response_id", "later response", "response of the conversation"):
        await scene.books.settled(scene.caller, mine[name])
    await asyncio.to_thread(service.ask, "DELETE", "/__requests")
    for probe in probes(mine, theirs):
        assert await probe.send(http, token) == await probe.twin(mine).send(http, token), probe
    read = json.dumps(await other.read_all(theirs))
    assert SECRETS["mine"] not in read
    asked = await asyncio.to_thread(service.requests)
    assert [each for each in asked if not within(each, owner_named(*stranger))] == []
