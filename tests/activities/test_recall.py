"""Is the whole conversation measured, and does its content stay in the store?"""

import json
from typing import Any

from clients.orchestrations import turn_wire
from domain.turns.response import Response
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import World, backend


def world() -> World:
    clock = FakeClock()
    fake = FakeBackend(says("a secret answer"))
    return World(store=MemoryStore(clock), clock=clock, backends={"main": (backend("main"), fake)})


async def recalled(one: World, response: Response) -> dict[str, Any]:
    return await one.steps["recall"](turn_wire(response))


async def test_bytes_count_all_text_that_the_model_reads() -> None:
    one = world()
    first = await one.admit("who? 日本")
    await one.run(first)
    second = await one.admit("and now?", previous=first.id)
    found = await recalled(one, second)
    assert found["messages"] == 3
    assert found["size"]["bytes"] == len("who? 日本a secret answerand now?".encode())


async def test_estimates_are_ordered_and_grow_with_the_conversation() -> None:
    one = world()
    small, big = await one.admit("hello"), await one.admit("hello " * 500)
    sizes = [(await recalled(one, each))["size"] for each in (small, big)]
    for size in sizes:
        assert 0 < size["expected"] <= size["likely"] <= size["ceiling"]
    assert sizes[1]["likely"] - sizes[0]["likely"] >= 500


async def test_only_numbers_cross_the_boundary() -> None:
    one = world()
    response = await one.admit("a secret question")
    found = await recalled(one, response)
    assert "secret" not in json.dumps(found)
    assert {type(value) for value in found["size"].values()} == {int}


async def test_a_repeat_gives_the_same_size() -> None:
    one = world()
    response = await one.admit("hello")
    assert await recalled(one, response) == await recalled(one, response)
