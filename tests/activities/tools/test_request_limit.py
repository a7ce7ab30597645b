"""Does a server's progress keep a request alive, up to its absolute end, and not beyond the end of its turn?"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from activities.tools.request_limit import RequestLimit
from tests.fakes.clocks import InstantLoop


def lasted(*, silence_s: float, longest_s: float, act: Callable[[RequestLimit], Awaitable[None]]) -> float:
    """Return after how many seconds of the loop a request that never ends was given up."""

    async def run() -> float:
        limit = RequestLimit(silence_s=silence_s, longest_s=longest_s)
        started = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await given_up(limit, act)
        limit.extend()
        return asyncio.get_running_loop().time() - started

    with asyncio.Runner(loop_factory=InstantLoop) as runner:
        return round(runner.run(run()), 3)


async def given_up(limit: RequestLimit, act: Callable[[RequestLimit], Awaitable[None]]) -> None:
    async with limit.running():
        await act(limit)
        await asyncio.Event().wait()


async def silent(_limit: RequestLimit) -> None:
    await asyncio.sleep(0)


async def talking(limit: RequestLimit) -> None:
    while True:
        await asyncio.sleep(4)
        limit.extend()


async def talking_for_a_while(limit: RequestLimit) -> None:
    for _ in range(3):
        await asyncio.sleep(4)
        limit.extend()


async def ended_early(limit: RequestLimit) -> None:
    await asyncio.sleep(2)
    limit.shorten(3)
    await talking(limit)


async def ended_at_once(limit: RequestLimit) -> None:
    limit.shorten(0)
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("longest_s", "act", "seconds"),
    [
        (60, silent, 5),
        (3, silent, 3),
        (60, talking_for_a_while, 17),
        (60, talking, 60),
        (60, ended_early, 5),
        (60, ended_at_once, 0),
    ],
)
def test_a_request_lasts_as_long_as_its_server_says_something(
    longest_s: float, act: Callable[[RequestLimit], Awaitable[None]], seconds: float
) -> None:
    assert lasted(silence_s=5, longest_s=longest_s, act=act) == seconds
