"""An app of every durable pattern: what does the host make of each?"""

import json
import os
import time
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app: Any = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

type Steps = Generator[Any, Any, Any]

RETRY = df.RetryOptions(first_retry_interval_in_milliseconds=20, max_number_of_attempts=2)


def later(context: Any, milliseconds: float) -> Any:
    return context.create_timer(context.current_utc_datetime + timedelta(milliseconds=milliseconds))


@app.activity_trigger(input_name="given")
async def echo(given: Any) -> Any:
    return given


@app.activity_trigger(input_name="given")
def note(given: Any) -> int:
    """Counts the runs of a key in the folder NOTES, waits, and returns the count."""
    path = Path(os.environ["NOTES"]) / given["key"]
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(given.get("sleep", 0.0))
    return len(path.read_text(encoding="utf-8").splitlines())


@app.activity_trigger(input_name="given")
def fails_until(given: Any) -> str:
    path = Path(os.environ["NOTES"]) / given["key"]
    with path.open("a", encoding="utf-8") as file:
        file.write("x")
    count = len(path.read_text(encoding="utf-8"))
    if count < given["succeeds_at"]:
        raise ValueError(f"failure {count}")
    return f"success {count}"


@app.activity_trigger(input_name="given")
async def boom(given: Any) -> None:
    raise ValueError(f"boom {given}")


@app.activity_trigger(input_name="given")
async def nothing(given: Any) -> None:
    return None


@app.activity_trigger(input_name="given")
async def trace(given: Any, context: func.Context) -> str:
    return context.trace_context.trace_parent


@app.orchestration_trigger(context_name="context")
def chain(context: Any) -> Steps:
    said: list[Any] = []
    for item in context.get_input():
        said.append((yield context.call_activity("echo", item)))  # noqa: PERF401 - an orchestrator yields
    return said


@app.orchestration_trigger(context_name="context")
def fan_out(context: Any) -> Steps:
    return (yield context.task_all([context.call_activity("echo", n) for n in range(context.get_input())]))


@app.orchestration_trigger(context_name="context")
def retried(context: Any) -> Steps:
    return (yield context.call_activity_with_retry("fails_until", RETRY, context.get_input()))


@app.orchestration_trigger(context_name="context")
def retried_then_more(context: Any) -> Steps:
    try:
        yield context.call_activity_with_retry("boom", RETRY, "r")
    except Exception as error:  # noqa: BLE001 - the SDK raises plain exceptions
        context.set_custom_status(str(error).split("\n", maxsplit=1)[0])
    return (yield context.call_activity("echo", "after"))


@app.orchestration_trigger(context_name="context")
def caught_in_all(context: Any) -> Steps:
    slow = context.call_activity("note", {"key": context.instance_id, "sleep": 0.4})
    try:
        yield context.task_all([context.call_activity("boom", 1), slow])
    except Exception as error:  # noqa: BLE001 - the SDK raises plain exceptions
        context.set_custom_status(str(error).split("\n", maxsplit=1)[0])
    return (yield context.call_activity("echo", "after"))


@app.orchestration_trigger(context_name="context")
def uncaught(context: Any) -> Steps:
    context.set_custom_status("about to fail")
    yield context.call_activity("boom", "u")


@app.orchestration_trigger(context_name="context")
def leaves_timer(context: Any) -> Steps:
    event, timer = context.wait_for_external_event("go"), later(context, context.get_input()["timer_ms"])
    winner = yield context.task_any([event, timer])
    if context.get_input()["cancel"] and winner == event:
        timer.cancel()
    return "event" if winner == event else "timer"


@app.orchestration_trigger(context_name="context")
def sleeps(context: Any) -> Steps:
    yield later(context, context.get_input())
    return "woke"


@app.orchestration_trigger(context_name="context")
def waits(context: Any) -> Steps:
    context.set_custom_status("waiting")
    return (yield context.wait_for_external_event("go"))


@app.orchestration_trigger(context_name="context")
def late_listener(context: Any) -> Steps:
    yield later(context, 300)
    return (yield context.wait_for_external_event("Go"))


@app.orchestration_trigger(context_name="context")
def two_waiters(context: Any) -> Steps:
    first, second = context.wait_for_external_event("go"), context.wait_for_external_event("go")
    context.set_custom_status("waiting")
    winner = yield context.task_any([first, second])
    return "first" if winner == first else "second"


@app.orchestration_trigger(context_name="context")
def parent(context: Any) -> Steps:
    return (yield context.call_sub_orchestrator("chain", context.get_input()))


@app.orchestration_trigger(context_name="context")
def named_parent(context: Any) -> Steps:
    return (yield context.call_sub_orchestrator("waits", None, context.get_input()))


@app.orchestration_trigger(context_name="context")
def parent_of_failure(context: Any) -> Steps:
    try:
        yield context.call_sub_orchestrator("uncaught")
    except Exception as error:  # noqa: BLE001 - the SDK raises plain exceptions
        return str(error)


@app.orchestration_trigger(context_name="context")
def own_child(context: Any) -> Steps:
    yield context.call_sub_orchestrator("chain", [], context.instance_id)


@app.orchestration_trigger(context_name="context")
def counts_down(context: Any) -> Steps:
    left = context.get_input()
    yield context.call_activity("echo", left)
    if left > 0:
        context.continue_as_new(left - 1)
        return None
    return "done"


@app.orchestration_trigger(context_name="context")
def forgets(context: Any) -> Steps:
    """Is told more than it waits for, starts over, and waits for what it was told."""
    context.set_custom_status("waiting")
    if context.get_input() == "first":
        yield context.wait_for_external_event("go")
        context.continue_as_new("second")
        return None
    extra, timer = context.wait_for_external_event("extra"), later(context, 300)
    return "forgotten" if (yield context.task_any([extra, timer])) == timer else "kept"


@app.orchestration_trigger(context_name="context")
def speaks(context: Any) -> Steps:
    for status in ({"stage": 1}, 0, ""):
        context.set_custom_status(status)
        yield context.call_activity("echo", 1)


@app.orchestration_trigger(context_name="context")
def calls_unknown(context: Any) -> Steps:
    yield context.call_activity("no_such_activity", 1)


@app.orchestration_trigger(context_name="context")
def races_retries(context: Any) -> Steps:
    tasks = [context.call_activity_with_retry("echo", RETRY, 1), context.wait_for_external_event("never")]
    yield context.task_any(tasks)
    return "ok"


@app.orchestration_trigger(context_name="context")
def undecided(context: Any) -> Steps:
    """Calls an activity named by a file: changing the file makes it another program."""
    path = Path(os.environ["NOTES"]) / "undecided"
    name = path.read_text(encoding="utf-8") if path.exists() else "echo"
    yield context.call_activity(name, 1)
    yield context.wait_for_external_event("go")


@app.orchestration_trigger(context_name="context")
def traced(context: Any) -> Steps:
    return [(yield context.call_activity("trace", 1)), (yield context.call_sub_orchestrator("traced_child"))]


@app.orchestration_trigger(context_name="context")
def traced_child(context: Any) -> Steps:
    return (yield context.call_activity("trace", 2))


@app.orchestration_trigger(context_name="context")
def noted(context: Any) -> Steps:
    counts: list[int] = []
    for n in range(context.get_input()["count"]):
        given = {"key": f"{context.instance_id}-{n}", "sleep": context.get_input()["sleep"]}
        counts.append((yield context.call_activity("note", given)))
        yield later(context, 20)
    return counts


@app.orchestration_trigger(context_name="context", orchestration="Named In The Decorator")
def named(context: Any) -> Steps:
    return (yield context.call_activity("Echo", context.version))


@app.route(route="client/{name}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_by_client(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    instance = await client.start_new(req.route_params["name"], req.params.get("id"), req.get_json())
    return client.create_check_status_response(req, instance)


def described(status: Any) -> dict[str, Any]:
    return {"status": str(status.runtime_status.name) if status.runtime_status else None, "output": status.output}


@app.route(route="clients/{instance}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def use_client(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    """Calls one method of the client with the arguments of the body."""
    wanted = req.get_json()
    method = getattr(client, wanted["method"])
    try:
        result: Any = await method(req.route_params["instance"], *wanted.get("arguments", []))
    except Exception as error:  # noqa: BLE001 - the test reads what the SDK raised
        return func.HttpResponse(json.dumps({"raised": str(error)}))
    if wanted["method"] == "get_status":
        result = described(result)
    if wanted["method"].startswith("purge"):
        result = result.instances_deleted
    return func.HttpResponse(json.dumps({"result": result}))


@app.route(route="all", methods=["GET"])
@app.durable_client_input(client_name="client")
async def list_instances(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    prefix = req.params.get("prefix")
    found = await (client.get_status_by(None, None, None, prefix) if prefix else client.get_status_all())
    return func.HttpResponse(json.dumps([one.instance_id for one in found]))


@app.route(route="waits/{instance}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def wait_for(req: func.HttpRequest, client: Any) -> func.HttpResponse:
    return await client.wait_for_completion_or_create_check_status_response(
        req, req.route_params["instance"], int(req.params["ms"]), 10
    )


@app.orchestration_trigger(context_name="context")
def goes_wrong(context: Any) -> Steps:
    """One step that works, then two at once that fail before they are rewound."""
    given = context.get_input()
    done = yield context.call_activity("note", {"key": f"{given['key']}-once"})
    first = {"key": f"{given['key']}-first", "succeeds_at": 2}
    second = {"key": f"{given['key']}-second", "succeeds_at": given.get("succeeds_at", 2)}
    both = yield context.task_all(
        [context.call_activity("fails_until", first), context.call_sub_orchestrator("retried", second, second["key"])]
    )
    return [done, *both]


@app.orchestration_trigger(context_name="context")
def shouts(context: Any) -> str:
    context.set_custom_status("x" * context.get_input())
    return "done"


@app.orchestration_trigger(context_name="context")
def takes_input(context: Any) -> Any:
    return context.get_input()
