"""How is a failed step on the store repeated, and when does it stop?"""

import math
from collections.abc import Awaitable, Callable

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from clients.clock import Clock
from domain.errors import GanglionError, Retryable

WRITE_TRIES = 7
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0
LATER_PAUSES_S = wait_exponential(multiplier=2 * FIRST_PAUSE_S, max=LONGEST_PAUSE_S)


async def with_back_off[T](
    clock: Clock,
    step: Callable[[], Awaitable[T]],
    *,
    retry_on: tuple[type[GanglionError], ...],
    tries: int,
    within_s: float = math.inf,
) -> T:
    """Run a step, again after each error of these types; raises the last one after `tries` or `within_s` seconds.

    The pauses double and have full jitter: each is a random part of its greatest length. The first try is made without
    tenacity, whose loop costs a quarter of a millisecond: most steps succeed at once.
    """
    stops_at = clock.now() + within_s
    try:
        return await step()
    except retry_on:
        await clock.sleep(clock.fraction() * FIRST_PAUSE_S)

    def is_last(state: RetryCallState) -> bool:
        return state.attempt_number >= tries - 1 or clock.now() >= stops_at

    def pause_s(state: RetryCallState) -> float:
        return clock.fraction() * LATER_PAUSES_S(state)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type(retry_on), stop=is_last, wait=pause_s, sleep=clock.sleep, reraise=True
    )

    async def next_try() -> T:  # tenacity awaits only what it recognizes as a coroutine function, and no lambda
        return await step()

    return await retrying(next_try)


async def with_retries[**P, T](clock: Clock, step: Callable[P, Awaitable[T]], *args: P.args, **named: P.kwargs) -> T:
    """Run a step that is safe to repeat, again while the store is unavailable."""
    return await with_back_off(clock, lambda: step(*args, **named), retry_on=(Retryable,), tries=WRITE_TRIES)
