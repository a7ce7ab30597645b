"""When has something come true?"""

import asyncio
from collections.abc import Awaitable, Callable

POLL_S = 0.02
GUARD_S = 60.0
"""How long a busy machine may take for what is usually a moment: no test judges a speed by it."""


async def eventually[T](look: Callable[[], Awaitable[T | None]], *, within_s: float = GUARD_S, what: str) -> T:
    """Look until something is found; an AssertionError names what did not come in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while loop.time() < deadline:
        found = await look()
        if found is not None:
            return found
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"not within {within_s:g} s: {what}")
