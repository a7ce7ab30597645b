"""How does an orchestrator call a step, and what becomes of a step that fails?"""

from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Any

from azure.durable_functions import RetryOptions

from domain import wire
from domain.packed_wire import PLAIN, packed_request
from domain.place_wire import WITHOUT_PLACES, place_event
from orchestrators.context import Context, DurableTask, Steps

STEP_RETRY = RetryOptions(first_retry_interval_in_milliseconds=1000, max_number_of_attempts=30)
"""Half a minute for the store to become available again. Every step is safe to repeat."""


def call_step(context: Context, name: str, request: Any) -> DurableTask:
    """Call an activity, and again where it fails. Failures of backends are results; it fails where the store does."""
    return context.call_activity_with_retry(name, STEP_RETRY, sent(context, name, request))


def sent(context: Context, name: str, request: Any) -> Any:
    """Return a request as this version of the orchestration sends it."""
    return request if context.version in PLAIN else packed_request(name, request)


def call_together(context: Context, calls: Sequence[tuple[str, Any]]) -> Steps[Sequence[wire.TriedWire]]:
    """Run steps that never fail in parallel. The host does not repeat a failed step of a `task_all`.

    An instance of a release before 1.6, which still runs during an update, fails at a packed request: then none of the
    steps has a result.
    """
    together = context.task_all([context.call_activity(name, sent(context, name, request)) for name, request in calls])
    try:
        results = yield together
    except Exception as error:
        if context.version in PLAIN:
            raise
        return [{"value": None, "problem": str(error)} for _ in calls]
    return results


def cancelled_within(context: Context, seconds: float) -> Steps[bool]:
    """Wait on a durable timer, which costs nothing. Return True at once where the response is cancelled meanwhile."""
    event = context.wait_for_external_event(wire.CANCELLED_EVENT)
    return (yield from first_within(context, seconds, (event,))) is event


def wait_for_place(context: Context, route: int, seconds: float) -> Steps[bool]:
    """Wait until a backend has a place for the turn, as the event of its route says, or the time has passed.

    Either way the turn is routed again. Return True where the response is cancelled meanwhile.
    """
    if context.version in WITHOUT_PLACES:
        return (yield from cancelled_within(context, seconds))
    cancelling = context.wait_for_external_event(wire.CANCELLED_EVENT)
    place = context.wait_for_external_event(place_event(route))
    return (yield from first_within(context, seconds, (cancelling, place))) is cancelling


def first_within(context: Context, seconds: float, events: Sequence[DurableTask]) -> Steps[DurableTask | None]:
    """Wait on a durable timer; return the event that was raised meanwhile, if any."""
    timer = context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))
    winner = yield context.task_any([timer, *events])
    if winner is timer:
        return None
    timer.cancel()
    return winner


def seconds_now(context: Context) -> float:
    """Return the time of the history event that is replayed, in seconds since the epoch."""
    return context.current_utc_datetime.replace(tzinfo=UTC).timestamp()
