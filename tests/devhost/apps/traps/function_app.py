"""An app that falls into the traps of the Durable SDK 1.x: does the host warn of each?"""

from collections.abc import Generator
from datetime import timedelta, timezone
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app: Any = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

type Steps = Generator[Any, Any, Any]

WEEK = timedelta(days=7)


@app.activity_trigger(input_name="given")
async def echo(given: Any) -> Any:
    return given


@app.orchestration_trigger(context_name="context")
def listens_late(context: Any) -> Steps:
    yield context.wait_for_external_event("begin")
    heard: list[Any] = []
    for _ in range(2):
        heard.append((yield context.wait_for_external_event("said")))  # noqa: PERF401 - an orchestrator yields
    return heard


@app.orchestration_trigger(context_name="context")
def cancels_a_week(context: Any) -> Steps:
    timer = context.create_timer(context.current_utc_datetime + WEEK)
    event = context.wait_for_external_event("go")
    yield context.task_any([timer, event])
    timer.cancel()
    return "returned"


@app.orchestration_trigger(context_name="context")
def forgets(context: Any) -> Steps:
    if context.get_input() == "again":
        return "forgot"
    yield context.wait_for_external_event("go")
    context.continue_as_new("again")
    return None


@app.orchestration_trigger(context_name="context")
def sleeps_abroad(context: Any) -> Steps:
    abroad = timezone(timedelta(hours=-2))
    yield context.create_timer((context.current_utc_datetime + timedelta(milliseconds=1)).astimezone(abroad))
    return "woke"


@app.orchestration_trigger(context_name="context")
def careful(context: Any) -> Steps:
    """The right way in each case."""
    timer = context.create_timer(context.current_utc_datetime + timedelta(days=5))
    event = context.wait_for_external_event("go")
    yield context.task_any([timer, event])
    timer.cancel()
    yield context.task_all([context.create_timer(context.current_utc_datetime + timedelta(milliseconds=1))])
    return "returned"
