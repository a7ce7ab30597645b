"""What surrounds every step: a span, its cost, masked failures, and a result where the response was deleted."""

import functools
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from clients.clock import Clock
from clients.storage.request_units import metered
from domain.approval_wire import ASK
from domain.batches.batch_wire import RUN_LINE
from domain.errors import GanglionError, NoResponse, Terminal
from domain.packed_wire import DEFAULTS, packed_result, plain_request
from domain.wire import (
    BEGIN,
    CALL_TOOL,
    ENTER,
    FINISH,
    INFER,
    NEVER_RAISING,
    RECALL,
    ROUTE,
    TRY_CALL_TOOL,
    StepSpentWire,
    TriedWire,
    TurnWire,
)
from telemetry import names
from telemetry.spans import span
from telemetry.turn import turn_context

log = logging.getLogger("ganglion.activities")

RESPONSE_DELETED = "the response was deleted"

NO_SIZE = {"expected": 0, "likely": 0, "ceiling": 0, "bytes": 0}

RESULTS_AFTER_DELETION: Mapping[str, Mapping[str, Any]] = {
    ENTER: {"delay_s": 0.0, "code": "server_error", "message": RESPONSE_DELETED},
    BEGIN: {"mine": False},
    RECALL: {"size": NO_SIZE, "messages": 0},
    ROUTE: {
        "backend": None,
        "reason": RESPONSE_DELETED,
        "worst_cost": "0",
        "output_tokens": 0,
        "has_alternative": False,
        "delay_s": 0.0,
    },
    INFER: {"result": "ended", "code": "", "message": RESPONSE_DELETED, "delay_s": 0.0},
    CALL_TOOL: {"outcome": "ended", "added": NO_SIZE},
    TRY_CALL_TOOL: {"outcome": "ended", "added": NO_SIZE},
    ASK: {"follows": "ended", "calls": [], "open": [], "until": 0.0, "added": NO_SIZE},
    FINISH: {"status": "deleted"},
}
"""The result of each step for a deleted response. With it the orchestration proceeds to settle what was spent."""


class StepFailed(Terminal):
    """A step failed with an unexpected error. The message names the error's type; the log has its traceback."""


def as_activity[Request: TurnWire](
    name: str, step: Callable[[Request], Awaitable[Any]], clock: Clock
) -> Callable[[Request], Awaitable[Any]]:
    """Wrap a step for registration as the activity `name`."""
    safe = log_and_mask(name, tolerate_deletion(name, step))
    costed = with_cost(never_raises(safe) if name in (*NEVER_RAISING, RUN_LINE) else safe, clock)
    return with_packing(name, costed) if name in DEFAULTS else costed


def with_packing(name: str, step: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    """Let a step take a packed request too, and give a packed result for it."""

    @functools.wraps(step)
    async def run(request: Any) -> Any:
        return packed_result(name, request, await step(plain_request(name, request)))

    return run


def with_cost[Request: TurnWire](
    step: Callable[[Request], Awaitable[Any]], clock: Clock
) -> Callable[[Request], Awaitable[Any]]:
    """Add `spent` to the step's result, a dictionary: the request units and seconds that the step used."""

    @functools.wraps(step)
    async def run(request: Request) -> Any:
        started_at = clock.now()
        with metered() as charge:
            result = await step(request)
        spent: StepSpentWire = {"units": round(charge.units, 2), "seconds": round(clock.now() - started_at, 3)}
        return {**result, "spent": spent}

    return run


def never_raises[Request: TurnWire, Result](
    step: Callable[[Request], Awaitable[Result]],
) -> Callable[[Request], Awaitable[TriedWire]]:
    """Return a failure as a value: one activity that raises in a `task_all` would fail all of them."""

    @functools.wraps(step)
    async def run(request: Request) -> TriedWire:
        try:
            return {"value": await step(request), "problem": ""}
        except GanglionError as error:
            return {"value": None, "problem": str(error)}

    return run


def tolerate_deletion[Request: TurnWire](
    name: str, step: Callable[[Request], Awaitable[Any]]
) -> Callable[[Request], Awaitable[Any]]:
    """Return a fixed result where the response was deleted: the host would repeat a failed step in vain."""
    if name not in RESULTS_AFTER_DELETION:
        return step

    @functools.wraps(step)
    async def run(request: Request) -> Any:
        try:
            return await step(request)
        except NoResponse:
            return dict(RESULTS_AFTER_DELETION[name])

    return run


def log_and_mask[Request: TurnWire, Result](
    name: str, step: Callable[[Request], Awaitable[Result]]
) -> Callable[[Request], Awaitable[Result]]:
    """Log a step's failure and raise it without its cause, which may hold a caller's content."""

    @functools.wraps(step)
    async def run(request: Request) -> Result:
        response_id = request["response"]
        with span(name, {names.RESPONSE_ID: response_id}, under=turn_context(request["traceparent"], response_id)):
            try:
                return await step(request)
            except GanglionError as error:
                log.warning("%s of %s failed: %s: %s", name, response_id, type(error).__name__, error)
                raise error from None  # the host logs an error's cause too, and that may hold content
            except Exception as error:  # noqa: BLE001 - the one broad except of every activity
                frames = "".join(traceback.format_tb(error.__traceback__))
                log.error("%s of %s failed: %s\n%s", name, response_id, type(error).__name__, frames)  # noqa: TRY400 - the message may hold content
                raise StepFailed(f"{name} failed: {type(error).__name__}") from None

    return run
