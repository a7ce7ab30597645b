"""Is each wait of a turn in line woken once, and sent as soon as a step has a client for it?"""

import asyncio

from domain.fleet.load import QueuePlace
from state.fleet.place_wakes import PlaceWakes

NOW = 1_000_000.0
FIRST = {"resp_1": QueuePlace(NOW - 5, NOW + 60, wait=1)}
SECOND = {"resp_2": QueuePlace(NOW - 4, NOW + 60, wait=4)}


class Host:
    """Notes the events that were sent to orchestrations; `opened` lets them through."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []
        self.opened, self.heard = asyncio.Event(), asyncio.Event()
        self.opened.set()

    async def signal(self, response_id: str, route: int) -> None:
        await self.opened.wait()
        self.sent.append((response_id, route))
        self.heard.set()


async def test_a_wake_is_sent_while_a_step_runs() -> None:
    wakes, host = PlaceWakes(), Host()
    async with wakes.sent_by(host.signal):
        wakes.note(FIRST, now=NOW)
        await host.heard.wait()
    assert host.sent == [("resp_1", 1)]


async def test_a_wake_without_a_client_is_sent_by_the_next_step() -> None:
    wakes, host = PlaceWakes(), Host()
    wakes.note(FIRST, now=NOW)
    async with wakes.sent_by(host.signal):
        assert not host.sent
    assert host.sent == [("resp_1", 1)]


async def test_a_step_ends_after_what_it_sends() -> None:
    wakes, host = PlaceWakes(), Host()
    host.opened.clear()
    asyncio.get_running_loop().call_later(0.01, host.opened.set)
    async with wakes.sent_by(host.signal):
        wakes.note(FIRST, now=NOW)
        await asyncio.sleep(0)
    assert host.sent == [("resp_1", 1)]


async def test_a_wait_is_woken_once_and_the_next_wait_of_the_same_turn_again() -> None:
    wakes, host = PlaceWakes(), Host()
    async with wakes.sent_by(host.signal):
        for places in (FIRST, {**FIRST, **SECOND}, FIRST, {"resp_1": QueuePlace(NOW - 5, NOW + 90, wait=2)}):
            wakes.note(places, now=NOW)
    assert host.sent == [("resp_1", 1), ("resp_2", 4), ("resp_1", 2)]


async def test_a_place_that_has_run_out_is_forgotten() -> None:
    wakes = PlaceWakes()
    wakes.note(FIRST, now=NOW)
    wakes.note({}, now=NOW + 61)
    assert not wakes.known


async def test_a_turn_of_an_earlier_release_is_not_woken() -> None:
    wakes, host = PlaceWakes(), Host()
    async with wakes.sent_by(host.signal):
        wakes.note({"resp_1": QueuePlace(NOW - 5, NOW + 60)}, now=NOW)
    assert not host.sent
