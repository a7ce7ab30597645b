"""Does an answer come from the cache? A header says so where the caller asked for a cached answer."""

from typing import Final

from domain.turns.response import Response

HEADER: Final = "x-ganglion-cache"


def cache_header(turn: Response) -> dict[str, str]:
    """Return `hit` where the turn took the answer of another one over before its request was answered, else `miss`."""
    use = turn.options.cache
    return {} if use is None else {HEADER: "hit" if use.first else "miss"}
