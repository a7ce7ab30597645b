"""Which work takes its worker along? An app whose orchestrator, activity and entity do so when they are told to."""

import os
from collections.abc import Generator
from typing import Any

import azure.durable_functions as df

app: Any = df.DFApp()

type Steps = Generator[Any, Any, Any]


@app.activity_trigger(input_name="given")
async def kills(given: str) -> None:
    os._exit(1)


@app.entity_trigger(context_name="context", entity_name="counter")
def counter(context: Any) -> None:
    if context.operation_name == "die":
        os._exit(1)
    value = context.get_state(lambda: 0) + 1
    context.set_state(value)
    context.set_result(value)


@app.orchestration_trigger(context_name="context")
def dies(context: Any) -> Steps:
    yield from ()
    os._exit(1)


@app.orchestration_trigger(context_name="context")
def asks(context: Any) -> Steps:
    """An operation that kills among good ones, and an activity that does."""
    entity = df.EntityId("counter", context.instance_id)
    told: list[str] = []
    context.signal_entity(entity, "add")
    try:
        yield context.call_entity(entity, "die")
    except Exception as error:  # noqa: BLE001 - the SDK raises nothing narrower
        told.append(str(error))
    try:
        yield context.call_activity("kills", "x")
    except Exception as error:  # noqa: BLE001 - the SDK raises nothing narrower
        told.append(str(error))
    return [*told, (yield context.call_entity(entity, "add"))]
