"""Does each call of a step with several have its own end, whatever happens to the others?"""

import asyncio
from typing import Any

import pytest

from activities.call_tools import CallTools
from domain import wire
from domain.call_wire import CallToolsWire
from domain.errors import NoResponse, Unavailable

TURN: wire.TurnWire = {"tenant": "t", "subject": "user:u", "response": "resp_1", "traceparent": ""}
SIZE: wire.SizeWire = {"expected": 1, "likely": 2, "ceiling": 3, "bytes": 4}


class Calls:
    """Ends the calls that it is told to, and knows which of them have ended."""

    def __init__(self, **ends: Any) -> None:
        self.ends = ends
        self.ended: list[str] = []

    async def call(self, request: wire.CallToolWire) -> wire.CalledToolWire:
        end = self.ends[request["call"]]
        if isinstance(end, asyncio.Event):
            await end.wait()
        await asyncio.sleep(0)
        self.ended.append(request["call"])
        if isinstance(end, Exception):
            raise end
        return {"outcome": "completed", "added": SIZE}


def request(*calls: str) -> CallToolsWire:
    return {**TURN, "calls": list(calls)}


def step(calls: Any) -> CallTools:
    return CallTools(calls.call)


async def test_the_ends_come_in_the_order_of_the_calls() -> None:
    last = asyncio.Event()
    calls = Calls(a=last, b=None, c=NoResponse.by_id("Response", "resp_1"))
    running = asyncio.create_task(step(calls).call(request("a", "b", "c")))
    while len(calls.ended) < 2:  # noqa: ASYNC110 - a state of the fake, which has no event
        await asyncio.sleep(0)
    last.set()
    assert [each and each["outcome"] for each in (await running)["calls"]] == ["completed", "completed", "ended"]


async def test_a_call_that_failed_for_want_of_the_store_is_left_to_its_caller() -> None:
    calls = Calls(a=None, b=Unavailable("the store is away", delay_s=1.0))
    assert [each is None for each in (await step(calls).call(request("a", "b")))["calls"]] == [False, True]


async def test_an_unexpected_error_is_raised_when_all_calls_have_ended() -> None:
    calls = Calls(a=KeyError("a"), b=asyncio.Event(), c=None)
    running = asyncio.create_task(step(calls).call(request("a", "b", "c")))
    while len(calls.ended) < 2:  # noqa: ASYNC110 - a state of the fake, which has no event
        await asyncio.sleep(0)
    assert not running.done()
    calls.ends["b"].set()
    with pytest.raises(KeyError):
        await running
    assert sorted(calls.ended) == ["a", "b", "c"]
