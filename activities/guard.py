"""What happens around every step: a span of the turn's trace, and failures that say nothing of a caller's content."""

import functools
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from activities.tolerate_deletion import tolerate_deletion
from clients.clock import Clock
from clients.storage.request_units import metered
from domain.errors import GanglionError, Terminal
from domain.wire import NEVER_RAISING, StepSpentWire, TriedWire, TurnWire
from telemetry import span

log = logging.getLogger("ganglion.activities")


class StepFailed(Terminal):
    """A step met an error that nobody foresaw; its type is all that is told, the rest is in the log."""


def as_activity[Given: TurnWire](
    name: str, step: Callable[[Given], Awaitable[Any]], clock: Clock
) -> Callable[[Given], Awaitable[Any]]:
    """Wrap a step for registration as the activity `name`."""
    safe = log_and_mask(name, tolerate_deletion(name, step))
    return with_cost(never_raises(safe) if name in NEVER_RAISING else safe, clock)


def with_cost[Given: TurnWire](
    step: Callable[[Given], Awaitable[Any]], clock: Clock
) -> Callable[[Given], Awaitable[Any]]:
    """Tell with what a step gives, a dictionary, what it has spent."""

    @functools.wraps(step)
    async def run(given: Given) -> Any:
        began = clock.now()
        with metered() as charge:
            taken = await step(given)
        spent: StepSpentWire = {"units": round(charge.units, 2), "seconds": round(clock.now() - began, 3)}
        return {**taken, "spent": spent}

    return run


def never_raises[Given: TurnWire, Taken](
    step: Callable[[Given], Awaitable[Taken]],
) -> Callable[[Given], Awaitable[TriedWire]]:
    """Tell a failure instead of raising it: one failed step of a compound would fail them all."""

    @functools.wraps(step)
    async def run(given: Given) -> TriedWire:
        try:
            return {"value": await step(given), "problem": ""}
        except GanglionError as error:
            return {"value": None, "problem": str(error)}

    return run


def log_and_mask[Given: TurnWire, Taken](
    name: str, step: Callable[[Given], Awaitable[Taken]]
) -> Callable[[Given], Awaitable[Taken]]:
    """Tell a step's failures as an activity may: `name` is the activity's."""

    @functools.wraps(step)
    async def run(given: Given) -> Taken:
        response_id = given["response"]
        with span(name, traceparent=given["traceparent"], gen_ai__response__id=response_id):
            try:
                return await step(given)
            except GanglionError as error:
                log.warning("%s of %s: %s: %s", name, response_id, type(error).__name__, error)
                raise error from None  # the host logs what caused an error too, and that may hold content
            except Exception as error:  # noqa: BLE001 - the one broad except of every activity
                frames = "".join(traceback.format_tb(error.__traceback__))
                log.error("%s of %s failed with %s\n%s", name, response_id, type(error).__name__, frames)  # noqa: TRY400 - the message may hold content
                raise StepFailed(f"{name} failed: {type(error).__name__}") from None

    return run
