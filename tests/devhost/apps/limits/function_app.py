"""An app that counts what runs at once, and has functions that never end: does the host keep its limits?"""

import asyncio
import os
import time
from collections.abc import Generator
from pathlib import Path
from threading import Lock
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app: Any = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

type Steps = Generator[Any, Any, Any]

LOCK = Lock()
RUNNING: dict[str, int] = {"activity": 0, "orchestrator": 0, "entity": 0}


def count(kind: str) -> None:
    """Notes in the folder NOTES how many of a kind run now."""
    with LOCK:
        RUNNING[kind] += 1
    with LOCK, (Path(os.environ["NOTES"]) / kind).open("a", encoding="utf-8") as file:
        file.write(f"{RUNNING[kind]}\n")
    time.sleep(0.03)
    with LOCK:
        RUNNING[kind] -= 1


@app.activity_trigger(input_name="given")
def work(given: int) -> int:
    count("activity")
    return given


@app.entity_trigger(context_name="context")
def thing(context: Any) -> None:
    count("entity")
    context.set_result(context.operation_name)


@app.orchestration_trigger(context_name="context")
def many(context: Any) -> Steps:
    count("orchestrator")
    activities = [context.call_activity("work", n) for n in range(8)]
    entities = [context.call_entity(df.EntityId("thing", f"{context.instance_id}{n}"), "touch") for n in range(8)]
    yield context.task_all([*activities, *entities])
    return "done"


@app.activity_trigger(input_name="given")
async def never_ends(given: int) -> None:
    await asyncio.sleep(3600)


@app.orchestration_trigger(context_name="context")
def asks_in_vain(context: Any) -> Steps:
    yield context.call_activity("never_ends", 1)


@app.route(route="hangs")
async def hangs(req: func.HttpRequest) -> str:
    await asyncio.sleep(3600)
    return "never"
