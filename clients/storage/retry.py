"""When is a step on the store tried again?"""

from collections.abc import Awaitable, Callable

from clients.clock import Clock
from domain.errors import Retryable

WRITE_TRIES = 6
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0


async def with_retries[**P, T](clock: Clock, step: Callable[P, Awaitable[T]], *given: P.args, **named: P.kwargs) -> T:
    """Do a step that is safe to repeat, again where the store could not answer; full jitter on doubling pauses."""
    for number in range(1, WRITE_TRIES):
        try:
            return await step(*given, **named)
        except Retryable:
            await clock.sleep(clock.fraction() * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**number))
    return await step(*given, **named)
