"""Which fingerprints of a server's tools are accepted at first sight, and which not?"""

import asyncio

from benches.scale.metered_store import MeteredStore
from state.tools.pins import MOST_PINS, ToolPins, pins_key, with_new
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore


async def test_the_first_description_of_a_tool_stays_until_an_operator_accepts_another() -> None:
    clock = FakeClock()
    pins = ToolPins(MemoryStore(clock), clock)
    assert await pins.pin_new("shop", {"find": "1"}) == {"find": "1"}
    assert await pins.pin_new("shop", {"find": "2", "pay": "1"}) == {"find": "1", "pay": "1"}
    assert await pins.accept("shop", {"find": "2"}) == {"find": "2", "pay": "1"}
    assert await pins.known("shop") == {"find": "2", "pay": "1"}
    assert await pins.known("store") == {}


async def test_tools_that_are_known_are_not_written_again() -> None:
    clock = FakeClock()
    store = MeteredStore(MemoryStore(clock), clock)
    pins = ToolPins(store, clock)
    for seen in ({"find": "1", "pay": "1"}, {"find": "2"}, {}):
        await pins.pin_new("shop", seen)
    assert store.calls["commit"] == 1


async def test_tools_that_many_instances_see_at_once_are_all_kept_as_the_first_saw_them() -> None:
    clock = FakeClock()
    pins = ToolPins(MemoryStore(clock), clock)
    seen = [{"find": str(number), f"t{number}": "1"} for number in range(8)]
    found = await asyncio.gather(*(pins.pin_new("shop", each) for each in seen))
    known = await pins.known("shop")
    assert len(known) == 9
    assert {each["find"] for each in found} == {known["find"]}


def test_a_server_that_renames_its_tools_fills_no_document() -> None:
    many = {f"t{number}": "1" for number in range(MOST_PINS - 1)}
    assert with_new(many, {"one": "1", "two": "1"}) == {**many, "one": "1"}
    full = {**many, "one": "1"}
    assert with_new(full, {"two": "1"}) == full
    assert with_new({**full, "more": "1"}, {"two": "1"}) == {**full, "more": "1"}


def test_a_servers_partition_is_no_backends() -> None:
    assert pins_key("gpu").parts == ("tools:gpu",)
