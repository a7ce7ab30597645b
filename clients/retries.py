"""When is a step on the store tried again?"""

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from clients.clock import Clock
from domain.errors import Retryable

WRITE_TRIES = 6
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0


def retrying(clock: Clock) -> AsyncRetrying:
    """Try again what the store could not answer, for what is safe to repeat; full jitter on doubling pauses."""

    def pause_s(state: RetryCallState) -> float:
        return clock.fraction() * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**state.attempt_number)

    return AsyncRetrying(
        retry=retry_if_exception_type(Retryable),
        wait=pause_s,
        sleep=clock.sleep,
        stop=stop_after_attempt(WRITE_TRIES),
        reraise=True,
    )
