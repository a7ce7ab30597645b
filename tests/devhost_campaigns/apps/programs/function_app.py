"""What does an orchestration do that is told its steps? An app that plays the programs it is given."""

import os
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df

app: Any = df.DFApp()

type Steps = Generator[Any, Any, Any]


@app.activity_trigger(input_name="given")
async def echo(given: Any) -> Any:
    return given


@app.activity_trigger(input_name="given")
async def fails(given: str) -> None:
    raise ValueError(given)


@app.activity_trigger(input_name="given")
async def flaky(given: Any) -> str:
    """Fails so many times; counts its runs in the folder NOTES."""
    name, failures = given
    path = Path(os.environ["NOTES"]) / name
    with path.open("a", encoding="utf-8") as file:
        file.write("x")
    if path.stat().st_size <= failures:
        raise ValueError(name)
    return "steady"


@app.entity_trigger(context_name="context", entity_name="Counter")
def counter(context: Any) -> None:
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        value += context.get_input()
        context.set_state(value)
    context.set_result(value)


def task_echo(context: Any, _path: str, value: Any) -> Any:
    return context.call_activity("echo", value)


def task_sleep(context: Any, _path: str, wait_ms: int) -> Any:
    return context.create_timer(context.current_utc_datetime + timedelta(milliseconds=wait_ms))


def task_event(context: Any, path: str, _value: Any) -> Any:
    return context.wait_for_external_event(path)


def told(path: str, program: Any) -> dict[str, Any]:
    return {"path": path, "program": program, "round": 0, "results": []}


def task_child(context: Any, path: str, program: Any) -> Any:
    return context.call_sub_orchestrator("play", told(path, program))


def task_named(context: Any, path: str, program: Any) -> Any:
    return context.call_sub_orchestrator("play", told(path, program), path)


TASKS: dict[str, Callable[[Any, str, Any], Any]] = {
    "echo": task_echo,
    "sleep": task_sleep,
    "event": task_event,
    "child": task_child,
    "named": task_named,
}


def entity_of(path: str) -> Any:
    return df.EntityId("counter", path.rsplit(".", 2)[0])


def step_all(context: Any, path: str, tasks: list[Any]) -> Steps:
    return (yield context.task_all([TASKS[kind](context, f"{path}.{n}", a) for n, (kind, a) in enumerate(tasks)]))


def step_first(context: Any, _path: str, values: list[Any]) -> Steps:
    return (yield context.task_any([context.call_activity("echo", value) for value in values])).result


def step_race(context: Any, path: str, value: Any) -> Steps:
    timer = task_sleep(context, path, 3_600_000)
    winner = yield context.task_any([timer, context.call_activity("echo", value)])
    timer.cancel()
    return winner.result


def step_late(context: Any, path: str, wait_ms: int) -> Steps:
    timer = task_sleep(context, path, wait_ms)
    winner = yield context.task_any([context.wait_for_external_event("nothing"), timer])
    return "late" if winner == timer else "early"


def step_fails(context: Any, path: str, attempts: int) -> Steps:
    try:
        yield context.call_activity_with_retry("fails", df.RetryOptions(1, attempts), path)
    except Exception:  # noqa: BLE001 - the SDK raises nothing narrower
        return "gave up"


def step_flaky(context: Any, path: str, failures: int) -> Steps:
    name = f"{context.instance_id}-{path}".replace(":", "-")
    return (yield context.call_activity_with_retry("flaky", df.RetryOptions(1, failures + 1), [name, failures]))


def step_tries(context: Any, path: str, given: list[Any]) -> Steps:
    attempts, program = given
    try:
        if attempts == 1:
            yield task_child(context, path, program)
        else:
            retry = df.RetryOptions(1, attempts)
            yield context.call_sub_orchestrator_with_retry("play", retry, told(path, program))
    except Exception:  # noqa: BLE001 - the SDK raises nothing narrower
        return "child failed"


def step_add(context: Any, path: str, number: int) -> Steps:
    return (yield context.call_entity(entity_of(path), "add", number))


def step_signal(context: Any, path: str, number: int) -> Steps:
    context.signal_entity(entity_of(path), "add", number)
    return (yield context.call_entity(entity_of(path), "get"))


def step_status(context: Any, _path: str, text: str) -> Steps:
    context.set_custom_status(text)
    yield from ()


STEPS: dict[str, Callable[[Any, str, Any], Steps]] = {
    "all": step_all,
    "first": step_first,
    "race": step_race,
    "late": step_late,
    "fails": step_fails,
    "flaky": step_flaky,
    "tries": step_tries,
    "add": step_add,
    "signal": step_signal,
    "status": step_status,
}


def step(context: Any, path: str, kind: str, argument: Any) -> Steps:
    if kind in TASKS:
        return (yield TASKS[kind](context, path, argument))
    return (yield from STEPS[kind](context, path, argument))


@app.orchestration_trigger(context_name="context")
def play(context: Any) -> Steps:
    """All steps of a program, as many times over as it has rounds; then its end."""
    given = context.get_input()
    program, number, results = given["program"], given["round"], given["results"]
    for n, (kind, argument) in enumerate(program["steps"]):
        results.append((yield from step(context, f"{given['path']}.{number}.{n}", kind, argument)))
    if number + 1 < program["rounds"]:
        context.continue_as_new(given | {"round": number + 1, "results": results})
        return None
    if program["fails"]:
        raise ValueError("as told")
    return results
