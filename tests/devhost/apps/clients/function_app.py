"""An app that makes any call of the durable client: what does the SDK make of the host's answers?"""

import json
import os
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from azure.durable_functions.models.OrchestrationRuntimeStatus import OrchestrationRuntimeStatus

app: Any = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

type Steps = Generator[Any, Any, Any]


@app.orchestration_trigger(context_name="context")
def gives_back(context: Any) -> Any:
    return context.get_input()


@app.orchestration_trigger(context_name="context")
def waits(context: Any) -> Steps:
    context.set_custom_status("waiting")
    return (yield context.wait_for_external_event("go"))


@app.activity_trigger(input_name="key")
def works_at_last(key: str) -> str:
    """Fails once for each key."""
    path = Path(os.environ["NOTES"]) / key
    if path.exists():
        return "worked"
    path.touch()
    raise ValueError("not yet")


@app.orchestration_trigger(context_name="context")
def fails_once(context: Any) -> Steps:
    return (yield context.call_activity("works_at_last", context.instance_id))


@app.entity_trigger(context_name="context", entity_name="notes")
def notes(context: Any) -> None:
    """Keeps the inputs of what it is told; an operation without one counts as a dash."""
    kept = context.get_state(list)
    try:
        kept.append(context.get_input())
    except TypeError:
        kept.append("-")
    context.set_state(kept)


MOMENTS = ("created_time_from", "created_time_to")


def decoded(name: str, value: Any) -> Any:
    if name in MOMENTS:
        return datetime.fromisoformat(value)
    if name == "runtime_status":
        return [OrchestrationRuntimeStatus(one) for one in value]
    return df.EntityId(*value) if name == "entityId" else value


def encoded(result: Any) -> Any:
    if isinstance(result, list):
        return [encoded(one) for one in result]  # pyright: ignore[reportUnknownVariableType] - whatever the SDK returns
    if hasattr(result, "instances_deleted"):
        return result.instances_deleted
    if hasattr(result, "entity_exists"):
        return [result.entity_exists, result.entity_state]
    if hasattr(result, "to_json"):
        return result.to_json() if result else "falsy"
    return result


@app.route(route="calls/{method}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def call(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    """Calls a method of the client with the arguments of the body."""
    arguments = {name: decoded(name, value) for name, value in req.get_json().items()}
    method = getattr(client, req.route_params["method"])
    try:
        result = method(**arguments)
        result = await result if hasattr(result, "__await__") else result
    except Exception as error:  # noqa: BLE001 - the test reads what the SDK raised
        return func.HttpResponse(json.dumps({"raised": str(error)}))
    return func.HttpResponse(json.dumps({"result": encoded(result)}))


@app.route(route="waits/{instance}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def wait_for(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    milliseconds = int(req.params["ms"])
    return await client.wait_for_completion_or_create_check_status_response(
        req, req.route_params["instance"], milliseconds, 10
    )
