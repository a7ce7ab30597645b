"""An app whose orchestrators make HTTP requests: what do they get?"""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app: Any = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

type Steps = Generator[Any, Any, Any]


@app.orchestration_trigger(context_name="context")
def asks(context: Any) -> Steps:
    """Makes the request that its input describes."""
    given = context.get_input()
    if "resource" in given:
        given["token_source"] = df.ManagedIdentityTokenSource(given.pop("resource"))
    return (yield context.call_http(**given))


@app.orchestration_trigger(context_name="context")
def asks_all(context: Any) -> Steps:
    tasks = [context.call_http("GET", uri) for uri in context.get_input()]
    answers = yield context.task_all(tasks)
    return [one["content"] for one in answers]


@app.activity_trigger(input_name="given")
def echo(given: Any) -> Any:
    return given


@app.orchestration_trigger(context_name="context")
def asks_then_calls(context: Any) -> Steps:
    answer = yield context.call_http("GET", context.get_input())
    return [answer["statusCode"], (yield context.call_activity("echo", "next"))]


@app.route(route="seen", methods=["POST"])
def seen(req: func.HttpRequest) -> func.HttpResponse:
    names = ("x-own", "content-type", "user-agent", "accept-encoding")
    headers: Any = req.headers
    lines = [f"{name}: {headers.get(name)}" for name in names]
    return func.HttpResponse("\n".join([*lines, req.get_body().decode()]), status_code=418, headers={"X-Back": "yes"})


@app.route(route="later/{polls:int}", methods=["GET"])
def later(req: func.HttpRequest) -> func.HttpResponse:
    """202 so many times, each with the address of the next."""
    left = int(req.route_params["polls"])
    if left == 0:
        return func.HttpResponse("done")
    place = req.url.replace(f"/later/{left}", f"/later/{left - 1}")
    return func.HttpResponse(status_code=202, headers={"Location": place})
