"""Does an answer come from the cache? A header says so where the caller asked for a cached answer."""

from typing import Final

from domain.log.transcript import Transcript
from domain.turns.response import Response

HEADER: Final = "x-ganglion-cache"


def cache_header(turn: Response, log: Transcript | None = None) -> dict[str, str]:
    """Return `hit` where the turn took the answer of another one over, or was admitted to follow it, else `miss`.

    `log` is the log of a turn whose request waited for its end: one that has asked a model has an attempt's outcome.
    """
    use = turn.options.cache
    is_hit = use is not None and (use.first or use.follows) and not (log and log.outcome)
    return {} if use is None else {HEADER: "hit" if is_hit else "miss"}
