"""Does a GPU that the product ends stay up while the server runs the calls of a turn?"""

import asyncio
from copy import replace

import pytest

from domain.fleet.catalog import ColdStart
from domain.fleet.instances.lease import ROUND_S
from domain.fleet.instances.scaling import Scaling
from tests.api.harness import Api
from tests.api.test_sdk import sdk
from tests.api.tools.agents import SHOP, agent, calls
from tests.fakes.backends import FakeBackend, says

IDLE_S = 1.0
HELD = ColdStart(scales_to_zero=True, p50_s=20, p99_s=60, idle_s=IDLE_S)


async def stays_up_s(one: Api, scaling: Scaling, idle_s: float = IDLE_S) -> float:
    """Return how long the GPU is known to stay up after a turn, in seconds."""
    world = one.world
    gpu = replace(world.fleet.backends["main"], scaling=scaling, cold_start=replace(HELD, idle_s=idle_s))
    world.fleet.backends["main"] = gpu  # type: ignore[index]
    states = world.app.state.backend_states
    await states.record_opening(gpu, asked_at=world.clock.now())
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP])
    assert made.output_text == "done"
    until = (await states.read({"main": gpu}))["main"].warmth.warm_until
    assert until is not None
    return until - world.clock.now()


async def test_it_stays_up_for_the_next_round() -> None:
    one = agent(calls(("shop__find_order", {"number": "A-1"})), says("done"))
    assert await stays_up_s(one, Scaling.REQUESTS) == pytest.approx(ROUND_S, abs=0.5)


async def test_one_without_an_idle_period_is_up_whenever_its_watch_looks_at_it_between_rounds() -> None:
    model, seen = FakeBackend(calls(("shop__find_order", {"number": "A-1"})), says("done")), list[float]()
    one = agent(main=model)
    states, main = one.world.app.state.backend_states, one.world.fleet.backends["main"]

    async def look_at_each_change() -> None:
        nonlocal seen
        while True:
            await states.changes.following("main").wait()
            until = (await states.read({"main": main}))["main"].warmth.warm_until
            seen += [(until or 0.0) - one.world.clock.now()] * bool(model.calls)

    watch = asyncio.create_task(look_at_each_change())
    await stays_up_s(one, Scaling.REQUESTS, idle_s=0.0)
    watch.cancel()
    assert seen
    assert seen == [pytest.approx(ROUND_S, abs=0.5)] * len(seen)


async def test_without_a_round_it_ends_after_its_idle_period() -> None:
    assert await stays_up_s(agent(says("done")), Scaling.REQUESTS) == pytest.approx(IDLE_S, abs=0.5)


async def test_one_that_its_provider_ends_is_not_kept() -> None:
    one = agent(calls(("shop__find_order", {"number": "A-1"})), says("done"))
    assert await stays_up_s(one, Scaling.PROVIDER) == pytest.approx(IDLE_S, abs=0.5)
