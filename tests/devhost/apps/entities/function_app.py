"""An app with entities: who may ask them what?"""

import json
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app: Any = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

type Steps = Generator[Any, Any, Any]


@app.entity_trigger(context_name="context", entity_name="Counter")
def counter(context: Any) -> None:
    """Adds, is read, fails, counts its slow runs in the folder NOTES, and can be deleted."""
    value = context.get_state(lambda: 0)
    match context.operation_name:
        case "add":
            value += int(context.get_input())
            context.set_state(value)
            context.set_result(value)
        case "slow_add":
            with (Path(os.environ["NOTES"]) / "slow").open("a", encoding="utf-8") as file:
                file.write("x")
            time.sleep(0.5)
            context.set_state(value + 1)
        case "get":
            context.set_result(value)
        case "delete":
            context.destruct_on_exit()
        case _:
            raise ValueError("bad op")


def named(key: str) -> Any:
    return df.EntityId("counter", key)


@app.orchestration_trigger(context_name="context")
def calls(context: Any) -> Steps:
    """Signals, calls, hears of an error, then calls two at once."""
    entity = named(context.get_input())
    context.signal_entity(entity, "add", 7)
    first = yield context.call_entity(entity, "add", 3)
    told = ""
    try:
        yield context.call_entity(entity, "nonsense")
    except Exception as error:  # noqa: BLE001 - the SDK raises nothing narrower
        told = str(error)
    both = yield context.task_all([context.call_entity(entity, "get"), context.call_entity(named("empty"), "get")])
    return [first, told, both]


@app.orchestration_trigger(context_name="context")
def asks_slowly(context: Any) -> Steps:
    yield context.call_entity(named("slow"), "slow_add")
    return (yield context.call_entity(named("slow"), "get"))


@app.orchestration_trigger(context_name="context")
def asks_nobody(context: Any) -> Steps:
    return (yield context.call_entity(df.EntityId("nobody", "x"), "get"))


@app.orchestration_trigger(context_name="context")
def adds_one(context: Any) -> Steps:
    return (yield context.call_entity(named("many"), "add", 1))


@app.route(route="counters/{key}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def signal(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    await client.signal_entity(named(req.route_params["key"]), "add", int(req.params["by"]))
    return func.HttpResponse(status_code=202)


@app.route(route="counters/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def state(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    found = await client.read_entity_state(named(req.route_params["key"]))
    return func.HttpResponse(json.dumps({"exists": found.entity_exists, "state": found.entity_state}))
