"""An app whose orchestrations tell their version: which does the host give them, and which does it run?"""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app: Any = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

type Steps = Generator[Any, Any, Any]

RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=20, max_number_of_attempts=1)


@app.orchestration_trigger(context_name="context")
def tells(context: Any) -> str:
    return context.version


@app.orchestration_trigger(context_name="context")
def family(context: Any) -> Steps:
    """Its own version, then those of three children."""
    return [
        context.version,
        (yield context.call_sub_orchestrator("tells")),
        (yield context.call_sub_orchestrator("tells", version="0.5")),
        (yield context.call_sub_orchestrator_with_retry("tells", RETRY, version="0.6")),
    ]


@app.orchestration_trigger(context_name="context")
def goes_on(context: Any) -> str | None:
    if context.get_input() == "first":
        context.continue_as_new("second")
        return None
    return context.version


@app.route(route="start/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: Any) -> str:
    version = req.params.get("version")
    return await client.start_new(req.route_params["name"], client_input="first", version=version)
