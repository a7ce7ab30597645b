"""What does a step give whose response was deleted while its turn ran?"""

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from domain.errors import NoResponse
from domain.wire import BEGIN, FINISH, INFER, RECALL, ROUTE, TurnWire

REASON = "the response was deleted"

GIVEN: Mapping[str, Mapping[str, Any]] = {
    BEGIN: {"mine": False},
    RECALL: {"size": {"expected": 0, "likely": 0, "ceiling": 0, "bytes": 0}, "messages": 0},
    ROUTE: {
        "backend": None,
        "reason": REASON,
        "worst_cost": "0",
        "output_tokens": 0,
        "has_alternative": False,
        "delay_s": 0.0,
    },
    INFER: {"result": "ended", "code": "", "message": REASON, "delay_s": 0.0},
    FINISH: {"status": "deleted"},
}
"""With these the orchestration goes on to settle what was spent, by whichever step it learns of the deletion."""


def tolerate_deletion[Given: TurnWire](
    name: str, step: Callable[[Given], Awaitable[Any]]
) -> Callable[[Given], Awaitable[Any]]:
    """Wrap a step so that no deletion fails it: a failed step would be tried again, in vain."""
    if name not in GIVEN:
        return step

    @functools.wraps(step)
    async def run(given: Given) -> Any:
        try:
            return await step(given)
        except NoResponse:
            return dict(GIVEN[name])

    return run
