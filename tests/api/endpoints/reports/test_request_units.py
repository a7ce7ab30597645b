"""How many request units does a report cost on Cosmos DB, however large the fleet and the month are?"""

import asyncio
from collections.abc import AsyncIterator
from copy import replace
from decimal import Decimal

import httpx
import pytest

from clients.storage.cosmos.settings import CosmosAccount
from clients.storage.cosmos.store import CosmosStore
from clients.storage.keys import money_key
from clients.storage.paging import write_batches
from clients.storage.port import Create
from clients.storage.request_units import metered
from domain.fleet.catalog import Backend
from domain.money.usage import UsageRow
from domain.money.usage_rollups import roll_up_change
from domain.routing.rent_or_buy import window_s
from state.fleet.fleet_counters import FleetCounters
from state.money.usage_rows import BEGUN
from tests.api.endpoints.reports.test_fleet import FOREIGN, GPU, attempt
from tests.api.harness import OPERATOR, Api, api
from tests.fakes.backends import FakeBackend
from tests.fakes.clocks import FakeClock
from tests.fakes.servers.cosmos import local_cosmos
from tests.isolation.watching import UNLIMITED

pytestmark = pytest.mark.slow

MOST_UNITS = 60
BACKENDS = 50
TURNS = 100_000
HOURS = 30 * 24
PAIRS = (("small", "main"), ("small", "spare"), ("large", "gpu"))
GPU_COUNTS = ("attempts", "input", "cached", "output", "cost", "running", "start", "idle")


@pytest.fixture
def account() -> CosmosAccount:
    return local_cosmos().emptied()


@pytest.fixture
async def store(account: CosmosAccount) -> AsyncIterator[CosmosStore]:
    opened = CosmosStore(account, FakeClock())
    yield opened
    await opened.close()


async def measured(one: Api, path: str, **headers: str) -> tuple[httpx.Response, float]:
    """Return an answer and the request units that it cost."""
    with metered() as charge:
        answer = await one.http.get(path, headers={"authorization": "Bearer operator", **headers})
    return answer, charge.units


def fifty_gpus(store: CosmosStore, clock: FakeClock) -> Api:
    fleet = {f"gpu-{number:02d}": replace(GPU, name=f"gpu-{number:02d}") for number in range(BACKENDS)}
    return api(*(FakeBackend() for _ in fleet), deployed=fleet, store=store, clock=clock, limits=UNLIMITED)


async def fill_fleet(one: Api) -> None:
    """Open a session on every backend, in which a second tenant takes part, and spend in five parts of each window."""
    app, clock = one.world.app, one.world.clock
    counters = FleetCounters(one.world.store)

    async def use(backend: Backend) -> None:
        await app.state.backend_states.record_opening(backend, asked_at=clock.now())
        for owner, token in ((OPERATOR, "1"), (FOREIGN, "2")):
            await app.state.gpu_sessions.enter(backend, owner, attempt(owner, token), limit_s=60)

    await asyncio.gather(*(use(each) for each in app.configuration.fleet.backends.values()))
    for _ in range(5):
        spend = app.state.rental_spend
        await counters.add(
            [
                spend.addition(each, Decimal(1), window_s=window_s(each, each.cold_start.p50_s), shared={})
                for each in app.configuration.fleet.backends.values()
            ]
        )
        clock.advance(window_s(GPU, GPU.cold_start.p50_s) / 10)


async def test_fifty_backends_cost_no_more_than_sixty_units_a_second_and_nothing_in_between(store: CosmosStore) -> None:
    clock = FakeClock()
    one = fifty_gpus(store, clock)
    await fill_fleet(one)
    first, _ = await measured(one, "/v1/fleet")
    assert sum(each["session"]["members"] for each in first.json()["data"]) == 2 * BACKENDS
    clock.advance(16)
    later, units = await measured(one, "/v1/fleet")
    assert len(later.json()["data"]) == BACKENDS
    assert 0 < units <= MOST_UNITS
    known, nothing = await measured(one, "/v1/fleet", **{"if-none-match": later.headers["etag"]})
    assert (known.status_code, nothing) == (304, 0)


async def fill_month(store: CosmosStore, tenant: str) -> None:
    """Write the roll-ups of 100,000 turns: on three backends in every hour of 30 days, with what turns cost beside."""
    bodies: dict[str, dict[str, object]] = {}
    for hour in range(HOURS):
        day = f"2026-11-{hour // 24 + 1:02d}"
        for model, backend in (*PAIRS, ("", "")):
            place = {"day": day, "hour": f"{day}T{hour % 24:02d}", "model": model, "backend": backend}
            names = GPU_COUNTS if backend else ("store", "functions")
            counts = dict.fromkeys(names, 4_200_000_000) | (
                {"attempts": TURNS // HOURS // len(PAIRS)} if backend else {}
            )
            change = roll_up_change(UsageRow(dimensions=place), counts)
            bodies.setdefault(change.id, dict(change.empty)).update(change.amounts)
    creates = [Create(id=name, body=body) for name, body in bodies.items()]
    begun = Create(id=BEGUN, body={"kind": BEGUN, "v": 1, "since": "2026-11-01"})
    await write_batches(store, money_key(tenant), [begun, *creates])


async def test_a_month_of_100000_turns_costs_no_more_than_sixty_units(store: CosmosStore) -> None:
    one = api(store=store, clock=FakeClock())
    await fill_month(store, OPERATOR.tenant)
    for by in ("day", "hour", "cause", "model", "backend", "day,cause"):
        answer, units = await measured(one, f"/v1/usage?from=2026-11-01&to=2026-11-30&group_by={by}&limit=100")
        assert answer.status_code == 200
        assert answer.json()["data"]
        assert 0 < units <= MOST_UNITS, by
