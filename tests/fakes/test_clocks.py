"""Do the fake clocks keep the time that tests rely on?"""

import asyncio

from tests.checks import every
from tests.fakes.clocks import START, FakeClock, InstantLoop


async def test_a_fake_clock_stands_still_until_it_is_advanced() -> None:
    clock = FakeClock()
    await asyncio.sleep(0)
    assert clock.now() == START
    clock.advance(2)
    assert clock.now() == START + 2
    clock.set(7)
    assert clock.now() == 7


async def test_sleeps_that_overlap_pass_the_same_time() -> None:
    clock = FakeClock(start=0)
    await asyncio.gather(clock.sleep(3), clock.sleep(5), clock.sleep(1))
    assert (clock.now(), clock.slept) == (5, [3, 5, 1])
    await clock.sleep(2)
    assert clock.now() == 7


def test_tokens_and_fractions_follow_from_the_seed() -> None:
    first, second, other = FakeClock(seed=1), FakeClock(seed=1), FakeClock(seed=2)
    tokens = [first.token() for _ in range(100)]
    assert tokens == [second.token() for _ in range(100)]
    assert first.fraction() == second.fraction()
    assert len({*tokens, other.token()}) == 101
    assert every(len(token) == 24 and set(token) <= set("0123456789abcdef") for token in tokens)


def test_timers_of_an_instant_loop_fire_in_their_order_and_cost_no_time() -> None:
    ended: list[float] = []

    async def sleeping(seconds: float) -> None:
        await asyncio.sleep(seconds)
        ended.append(seconds)

    async def main() -> float:
        await asyncio.gather(*(sleeping(seconds) for seconds in (3600.0, 0.5, 86_400.0, 60.0)))
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=InstantLoop) as runner:
        passed = runner.run(main())
    assert ended == [0.5, 60.0, 3600.0, 86_400.0]
    assert abs(passed - 86_400) < 1
