"""Is the rule chosen once a day, and is it the one that decides and that the route record shows?"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from activities.maintenance.rule_replay import RuleReplay
from clients.orchestrations import turn_wire
from domain.fleet.catalog import Backend
from domain.routing.rent_or_buy import DEFAULT_RULE
from domain.routing.rules.rule_choice import DAY_S, RuleChoice
from tests.activities.cold_starts import EXPENSIVE, cold_gpu, cold_of
from tests.domain.fleets import GPU as GPU_PRICE
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import Run
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER, World, backend

GPU = cold_gpu(cold_of(60))
API = replace(backend("api"), price=EXPENSIVE)
BURST = 30


def world_of(store: Any, clock: FakeClock, gpu: Backend = GPU) -> World:
    answers = FakeBackend(says("some words"))
    return World(store=store, clock=clock, backends={"gpu": (gpu, answers), "api": (API, answers)})


async def add_bursts(world: World, clock: FakeClock, *, days: int = 5, dollars: str = "0.1") -> None:
    """Add a burst of demand a day: a GPU that is bought at once would have been the cheapest."""
    for _ in range(days):
        for _ in range(BURST):
            await world.app.state.demand_log.add(GPU, Decimal(dollars), busy_s=5.0)
            clock.advance(45)
        clock.advance(DAY_S - BURST * 45)


async def rule_of(world: World) -> RuleChoice:
    return (await world.app.state.rental_rules.in_force((GPU,)))["gpu"]


async def routes_of(world: World) -> list[Mapping[str, Any]]:
    response = await world.admit("how are you", deadline_s=1800)
    await Run(clock=world.clock, steps=world.steps, done=[], history=[]).respond(turn_wire(response))
    return [each["route"] for each in await world.turns.routes(OWNER, response.id)]


def replay_of(world: World) -> RuleReplay:
    return world.app.maintenance.rule_replay


async def test_too_little_demand_keeps_the_default_rule_for_a_day() -> None:
    clock = FakeClock()
    world = world_of(MemoryStore(clock), clock)
    await replay_of(world).replay_due()
    first = await rule_of(world)
    assert first.rule == DEFAULT_RULE
    clock.advance(DAY_S / 2)
    await replay_of(world).replay_due()
    assert await rule_of(world) == first


async def test_a_month_of_bursts_is_bought_for_early() -> None:
    clock = FakeClock()
    world = world_of(MemoryStore(clock), clock)
    await add_bursts(world, clock, days=8)
    await replay_of(world).replay_due()
    found = await rule_of(world)
    assert found.rule.threshold < DEFAULT_RULE.threshold
    assert found.dollars["adopted"] < found.dollars["default"] < found.dollars["never"]


async def test_a_changed_price_is_reason_to_choose_again() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    await replay_of(world_of(store, clock)).replay_due()
    cheaper = replace(GPU_PRICE, components=GPU_PRICE.components[:1])
    changed = world_of(store, clock, replace(GPU, price=cheaper))
    clock.advance(1)
    await replay_of(changed).replay_due()
    assert (await rule_of(changed)).at == clock.now()


async def test_the_route_record_shows_the_rule_and_what_its_rivals_would_have_cost() -> None:
    clock = FakeClock()
    world = world_of(MemoryStore(clock), clock)
    await add_bursts(world, clock, days=8)
    await replay_of(world).replay_due()
    chosen = await rule_of(world)
    (route, *_) = await routes_of(world)
    assert route["rules"] == {"gpu": chosen.to_document()}
    assert set(route["rules"]["gpu"]["dollars"]) == {"adopted", "default", "next", "never", "always"}
    (gpu,) = [each for each in route["candidates"] if each["backend"] == "gpu"]
    assert gpu["session"]["multiple"] == chosen.rule.threshold


async def test_a_run_that_dies_before_its_record_leaves_the_old_rule_and_the_next_one_repeats_it() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    world = world_of(store, clock)
    await replay_of(world).replay_due()
    await add_bursts(world, clock, days=8)
    dying = world_of(FlakyStore(store, world.clock.random, Faults(at={}, rate=0.0)), clock)
    flaky = dying.store
    assert isinstance(flaky, FlakyStore)
    flaky.faults.at = dict.fromkeys(range(4, 9), Fault.CRASH_BEFORE)
    with pytest.raises(CrashError):
        await replay_of(dying).replay_due()
    assert (await rule_of(world_of(store, clock))).turns == 0
    await replay_of(world_of(store, clock)).replay_due()
    assert (await rule_of(world_of(store, clock))).turns == 8 * BURST
