"""Is everything of another's as unknown as what nobody has, at every endpoint, and does nobody look beside his own?"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from clients.clock import Clock
from clients.storage.cosmos.store import CosmosStore
from clients.storage.port import Container, DocumentStore
from tests.api.harness import Api, api
from tests.fakes.clocks import FakeClock
from tests.fakes.cosmos import LocalCosmos, local_cosmos
from tests.fakes.stores import MemoryStore
from tests.isolation.people import OWNERS, SECRETS, Person
from tests.isolation.probes import BODIES, REFUSED, Ids, parameters, probes, served
from tests.isolation.watching import WatchedStore, is_own, watched_api

type MakeStore = Callable[[Clock], DocumentStore]


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """One product with four people: two owners in each of two tenants, who share names across tenants."""

    api: Api
    watched: WatchedStore
    people: Mapping[str, Person]
    ids: Mapping[str, Ids]


def on_cosmos() -> MakeStore:
    return partial(CosmosStore, local_cosmos().emptied())


STORES: Mapping[str, Callable[[], MakeStore]] = {"memory": lambda: MemoryStore, "cosmos": on_cosmos}


@pytest.fixture(params=["memory", pytest.param("cosmos", marks=pytest.mark.campaign)])
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    return STORES[request.param]()


@pytest.fixture
async def town(make_store: MakeStore) -> AsyncIterator[Town]:
    clock = FakeClock()
    one, watched = watched_api(make_store(clock), clock)
    people = {name: Person(name=name, token=name, http=one.http) for name in SECRETS}
    ids = {name: await person.belongings() for name, person in people.items()}
    await one.orchestrations.ended()
    yield Town(api=one, watched=watched, people=people, ids=ids)
    await watched.close()


@pytest.mark.parametrize("stranger", ["strange", "double", "far"])
async def test_nothing_of_anothers_is_there(town: Town, stranger: str) -> None:
    mine, theirs = town.ids[stranger], town.ids["mine"]
    before = await town.people["mine"].everything(theirs)
    http = town.api.http
    for probe in probes(theirs, mine):
        status, body = await probe.ask(http, stranger)
        assert (status, body) == await probe.twin(theirs).ask(http, stranger), probe
        assert status in REFUSED, probe
        assert status == 404 or probe.of.startswith("body="), probe
        assert SECRETS["mine"] not in json.dumps(body), probe
    await town.api.orchestrations.ended()
    assert await town.people["mine"].everything(theirs) == before


async def test_whoever_reads_all_that_is_his_reads_nothing_of_anybody_elses(town: Town) -> None:
    for name, person in town.people.items():
        read = json.dumps(await person.everything(town.ids[name]))
        assert [secret for secret in SECRETS.values() if secret in read] == [SECRETS[name]]


async def test_no_request_touches_a_partition_that_is_not_its_owners(town: Town) -> None:
    for name, person in town.people.items():
        town.watched.touched.clear()
        await tried(town, name)
        await person.belongings()
        await town.api.orchestrations.ended()
        beside = [
            key for key in town.watched.touched if key is None or not is_own(key.container, key.parts, OWNERS[name])
        ]
        assert town.watched.touched
        assert beside == []


async def tried(town: Town, name: str) -> None:
    """Let somebody try what is the next person's, and read his own."""
    names = list(SECRETS)
    victim = names[(names.index(name) + 1) % len(names)]
    for probe in probes(town.ids[victim], town.ids[name]):
        await probe.ask(town.api.http, name)
    await town.people[name].everything(town.ids[name])


@pytest.fixture
def cosmos() -> LocalCosmos:
    local_cosmos().emptied()
    return local_cosmos()


async def test_cosmos_sees_the_whole_key_of_the_owner_with_every_request(cosmos: LocalCosmos) -> None:
    clock = FakeClock()
    store = CosmosStore(cosmos.emptied(), clock)
    one = api(store=store, clock=clock)
    people = {name: Person(name=name, token=name, http=one.http) for name in ("mine", "double")}
    ids = {name: await person.belongings() for name, person in people.items()}
    await one.orchestrations.ended()
    cosmos.ask("DELETE", "/__requests")
    for probe in probes(ids["mine"], ids["double"]):
        await probe.ask(one.http, "double")
    await people["double"].everything(ids["double"])
    await people["double"].belongings()
    await one.orchestrations.ended()
    asked = [each for each in cosmos.requests() if "/docs" in each["path"]]
    await store.close()
    assert len(asked) > 100
    assert [each for each in asked if not whole_key(each)] == []


def whole_key(asked: Mapping[str, Any]) -> bool:
    """Tell whether a request stood under one whole partition key, and that one the caller's."""
    container, key = asked["path"].split("/")[4], json.loads(asked.get("key") or "[]")
    return not asked["across"] and is_own(container, key, OWNERS["double"]) and bool(key)


def test_every_function_and_every_parameter_of_a_path_is_tried() -> None:
    made = list(probes(EXAMPLE, EXAMPLE))
    with_parameters = {route.name for route in served() if parameters(route)}
    takes_more = {route.name for route in served() if "POST" in route.methods and BODIES[route.name]("x")}
    assert {probe.route for probe in made} >= with_parameters | takes_more
    assert {name for route in served() for name in parameters(route)} <= set(EXAMPLE)
    assert {Container.TURNS, Container.MONEY, Container.FLEET} == set(Container)


EXAMPLE: Ids = {
    "response_id": f"resp_{'a' * 48}",
    "conversation_id": f"conv_{'b' * 24}",
    "item_id": f"msg_{'c' * 48}",
    "completion_id": f"chatcmpl-{'d' * 48}",
    "owner_id": f"user_{'e' * 8}-{'e' * 4}-{'e' * 4}-{'e' * 4}-{'e' * 12}",
}
