"""Does every endpoint treat another owner's objects as unknown, and read only the caller's partitions?"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from clients.clock import Clock
from clients.storage.cosmos.store import CosmosStore
from clients.storage.port import Container, DocumentStore
from tests.api.harness import Api
from tests.api.tools.agents import agent
from tests.fakes.clocks import FakeClock
from tests.fakes.servers.cosmos import LocalCosmos, local_cosmos
from tests.fakes.stores import MemoryStore
from tests.isolation.people import OWNERS, SECRETS, WAITING, Person
from tests.isolation.probes import BODIES, REJECTED, Ids, Probe, parameters, probes, served
from tests.isolation.watching import UNLIMITED, AskingModel, WatchedStore, is_own, watched_api

pytestmark = pytest.mark.slow

type MakeStore = Callable[[Clock], DocumentStore]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment with four callers: two owners in each of two tenants, with equal ids in both."""

    api: Api
    watched: WatchedStore
    people: Mapping[str, Person]
    ids: Mapping[str, Ids]

    async def ended(self) -> None:
        """Return when all turns have ended but those that wait for somebody."""
        await self.api.orchestrations.ended(but=waiting_in(*self.ids.values()))


def waiting_in(*made: Ids) -> set[str]:
    return {ids[WAITING] for ids in made}


def on_cosmos() -> MakeStore:
    return partial(CosmosStore, local_cosmos().emptied())


STORES: Mapping[str, Callable[[], MakeStore]] = {"memory": lambda: MemoryStore, "cosmos": on_cosmos}


@pytest.fixture(params=["memory", pytest.param("cosmos", marks=pytest.mark.campaign)])
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    return STORES[request.param]()


@pytest.fixture
async def deployment(make_store: MakeStore) -> AsyncIterator[Deployment]:
    clock = FakeClock()
    one, watched = watched_api(make_store(clock), clock)
    people = {name: Person(name=name, token=name, http=one.http) for name in SECRETS}
    ids = {name: await person.create_data() for name, person in people.items()}
    made = Deployment(api=one, watched=watched, people=people, ids=ids)
    await made.ended()
    yield made
    await watched.close()


@pytest.mark.parametrize("stranger", ["strange", "double", "far"])
async def test_another_owners_objects_are_not_found(deployment: Deployment, stranger: str) -> None:
    mine, theirs = deployment.ids[stranger], deployment.ids["mine"]
    before = await deployment.people["mine"].read_all(theirs)
    http = deployment.api.http
    for probe in probes(theirs, mine):
        status, body = await probe.send(http, stranger)
        assert (status, body) == await probe.twin(theirs).send(http, stranger), probe
        assert status in REJECTED, probe
        assert status == 404 or probe.of.startswith("body="), probe
        assert SECRETS["mine"] not in json.dumps(body), probe
    await assert_undecided(deployment, stranger)
    await deployment.ended()
    assert await deployment.people["mine"].read_all(theirs) == before


async def assert_undecided(deployment: Deployment, stranger: str) -> None:
    """Nobody else sees or decides what a turn waits for."""
    theirs, http = deployment.ids["mine"], deployment.api.http
    (request,) = (await deployment.people["mine"].send("GET", "/v1/approvals")).json()["data"]
    assert request["response_id"] == theirs[WAITING]
    path, body = f"/v1/responses/{theirs[WAITING]}/approvals", {"approval_request_id": request["id"], "approve": True}
    probe = Probe(route="http_approvals_decide", method="POST", path=path, body=body)
    outcome = await probe.send(http, stranger)
    assert outcome == await probe.twin({**theirs, "request": request["id"]}).send(http, stranger)
    assert outcome[0] == 404
    listed = (await deployment.people[stranger].send("GET", "/v1/approvals")).json()["data"]
    assert request["id"] not in [each["id"] for each in listed]


async def test_an_owner_who_reads_everything_reads_only_his_own_data(deployment: Deployment) -> None:
    for name, person in deployment.people.items():
        read = json.dumps(await person.read_all(deployment.ids[name]))
        assert [secret for secret in SECRETS.values() if secret in read] == [SECRETS[name]]


async def test_no_request_touches_another_owners_partition(deployment: Deployment) -> None:
    made = [*deployment.ids.values()]
    for name, person in deployment.people.items():
        deployment.watched.touched.clear()
        await probe_next_owner(deployment, name)
        made.append(await person.create_data())
        await deployment.api.orchestrations.ended(but=waiting_in(*made))
        foreign = [
            key
            for key in deployment.watched.touched
            if key is None or not is_own(key.container, key.parts, OWNERS[name])
        ]
        assert deployment.watched.touched
        assert foreign == []


async def probe_next_owner(deployment: Deployment, name: str) -> None:
    """Let a caller probe the next owner's objects and read the own data."""
    names = list(SECRETS)
    victim = names[(names.index(name) + 1) % len(names)]
    for probe in probes(deployment.ids[victim], deployment.ids[name]):
        await probe.send(deployment.api.http, name)
    await deployment.people[name].read_all(deployment.ids[name])


@pytest.fixture
def cosmos() -> LocalCosmos:
    local_cosmos().emptied()
    return local_cosmos()


async def test_every_cosmos_request_has_the_owners_full_partition_key(cosmos: LocalCosmos) -> None:
    clock = FakeClock()
    store = CosmosStore(cosmos.emptied(), clock)
    one = agent(main=AskingModel(), store=store, clock=clock, limits=UNLIMITED)
    people = {name: Person(name=name, token=name, http=one.http) for name in ("mine", "double")}
    ids = {name: await person.create_data() for name, person in people.items()}
    await one.orchestrations.ended(but=waiting_in(*ids.values()))
    cosmos.ask("DELETE", "/__requests")
    for probe in probes(ids["mine"], ids["double"]):
        await probe.send(one.http, "double")
    await people["double"].read_all(ids["double"])
    more = await people["double"].create_data()
    await one.orchestrations.ended(but=waiting_in(*ids.values(), more))
    requests = [each for each in cosmos.requests() if "/docs" in each["path"]]
    await store.close()
    assert len(requests) > 100
    assert [each for each in requests if not has_own_key(each)] == []


def has_own_key(request: Mapping[str, Any]) -> bool:
    """Return whether a request had one full partition key, the caller's."""
    container, key = request["path"].split("/")[4], json.loads(request.get("key") or "[]")
    return not request["across"] and is_own(container, key, OWNERS["double"]) and bool(key)


def test_every_route_and_every_path_parameter_is_probed() -> None:
    probed = list(probes(EXAMPLE, EXAMPLE))
    with_parameters = {route.name for route in served() if parameters(route)}
    takes_more = {route.name for route in served() if "POST" in route.methods and BODIES[route.name]("x")}
    assert {probe.route for probe in probed} >= with_parameters | takes_more
    assert {name for route in served() for name in parameters(route)} <= set(EXAMPLE)
    assert {Container.TURNS, Container.MONEY, Container.FLEET} == set(Container)


EXAMPLE: Ids = {
    "response_id": f"resp_{'a' * 48}",
    "conversation_id": f"conv_{'b' * 24}",
    "item_id": f"msg_{'c' * 48}",
    "completion_id": f"chatcmpl-{'d' * 48}",
    "batch_id": f"batch_{'9' * 24}",
    "file_id": f"file-{'f' * 32}",
    "owner_id": f"user_{'e' * 8}-{'e' * 4}-{'e' * 4}-{'e' * 4}-{'e' * 12}",
}
