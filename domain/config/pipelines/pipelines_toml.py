"""What does the file of the pipelines say?"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from domain.config.pipelines.storage_rows import check_place, read_queue
from domain.config.toml_table import VARIABLE, TomlTable, document, expanded
from domain.errors import ConfigurationError
from domain.identity.owners import Owner
from domain.pipelines.pipeline import Pipeline, Pipelines, PipelineStep, Sink, SinkKind, TriggerKind
from domain.pipelines.schedules import schedule_problem

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
REQUEST_FIELDS: Final = (
    "model",
    "tier",
    "instructions",
    "temperature",
    "max_output_tokens",
    "format",
    "sources",
    "tools",
    "approval_wait_s",
)
"""The fields that a step may have, too."""

PART: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}")
SINKS: Final = (SinkKind.WEBHOOK, SinkKind.CONVERSATION, SinkKind.QUEUE, SinkKind.BLOB)
STORAGE_SINKS: Final = frozenset({SinkKind.QUEUE, SinkKind.BLOB})


MOST_STEPS: Final = 16
LONGEST_WAIT_S: Final = 20 * 86_400
"""How long a turn may wait for approvals: an event is known for thirty days."""


def pipelines_from_toml(text: str, variables: Mapping[str, str]) -> Pipelines:
    """Return the pipelines, `%NAME%` in their owners and sinks replaced from the variables.

    A pipeline that needs a variable that is not set is left out. Raises ConfigurationError that names every mistake.
    """
    top = document(text, "pipelines")
    known: dict[str, Pipeline] = {}
    for name, table in top.tables("pipelines"):
        pipeline = read_pipeline(name, table, variables)
        queue = pipeline.queue.name if pipeline.queue else ""
        needed = (pipeline.owner.tenant, pipeline.owner.subject, pipeline.sink.target, queue)
        if not any(VARIABLE.search(each) for each in needed):
            known[name] = pipeline
    top.close()
    if top.problems:
        raise ConfigurationError(tuple(top.problems))
    return Pipelines(known=known)


def read_pipeline(name: str, table: TomlTable, variables: Mapping[str, str]) -> Pipeline:
    if not NAME.fullmatch(name):
        table.problems.append(f"{table.path}: expected a name of a-z, 0-9 and -, at most 32 characters")
    trigger = table.choice("trigger", TriggerKind)
    timed = trigger is TriggerKind.SCHEDULE
    response, day, month = read_budgets(table.table("budgets"))
    pipeline = Pipeline(
        name=name,
        owner=read_owner(table.table("owner", required=True), variables),
        trigger=trigger,
        schedule=read_schedule(table) if timed else "",
        text=table.text("input") if timed else "",
        input=() if timed else read_part(table),
        steps=read_steps(table),
        sink=read_sink(table.table("sink"), variables),
        queue=read_queue(table, variables) if trigger is TriggerKind.QUEUE else None,
        trusted=table.flag("trusted", default=False),
        response_budget=response,
        day_budget=day,
        month_budget=month,
    )
    table.close()
    return pipeline


def read_steps(table: TomlTable) -> tuple[PipelineStep, ...]:
    """Return the steps; what a step does not say is as in its pipeline. A pipeline without a list has one step."""
    usual = {key: table.values[key] for key in REQUEST_FIELDS if key in table.values}
    only = PipelineStep(body=read_body(table))
    if "steps" not in table.values:
        return (only,)
    rows, steps = tuple(table.rows("steps")), list[PipelineStep]()
    for row in rows:
        step = TomlTable(row.path, {**usual, **row.values}, table.problems)
        steps.append(PipelineStep(name=read_step_name(step, {each.name for each in steps}), body=read_body(step)))
        step.close()
    if not 1 <= len(rows) <= MOST_STEPS:
        table.problems.append(f"{table.name_of('steps')}: expected 1 to {MOST_STEPS} steps, found {len(rows)}")
    return tuple(steps) or (only,)


def read_step_name(table: TomlTable, taken: Collection[str]) -> str:
    name = table.text("name")
    if name and not NAME.fullmatch(name):
        table.report("name", "a name of a-z, 0-9 and -, at most 32 characters")
    if name in taken:
        table.report("name", "a name that no other step has")
    return name


def read_owner(table: TomlTable, variables: Mapping[str, str]) -> Owner:
    tenant, app = (expanded(table.text(key), variables) for key in ("tenant", "app"))
    table.close()
    return Owner(tenant=tenant, subject=f"app:{app}")


def read_schedule(table: TomlTable) -> str:
    schedule = table.text("schedule")
    if schedule and (problem := schedule_problem(schedule)):
        table.problems.append(f"{table.name_of('schedule')}: {problem}")
    return schedule


def read_part(table: TomlTable) -> tuple[str, ...]:
    path = table.text("input", "data")
    if path and not PART.fullmatch(path):
        table.report("input", "names joined by dots, as data.text")
    return tuple(path.split("."))


def read_body(table: TomlTable) -> dict[str, Any]:
    """Return the fields of a request to the API; its own reader says what is wrong with their values."""
    sources, tier = table.texts("sources"), table.optional("tier", table.text)
    body: dict[str, Any] = {"model": table.text("model", "auto"), "metadata": {}}
    for key in ("instructions", "temperature", "max_output_tokens"):
        if (value := read_json(table, key)) is not None:
            body[key] = value
    if sources:
        body["metadata"]["sources"] = ",".join(sources)
    if tier:
        body["metadata"]["tier"] = tier
    if "approval_wait_s" in table.values:
        body["metadata"]["approval_wait_s"] = str(table.within("approval_wait_s", 1, LONGEST_WAIT_S))
    table.known.add("approval_wait_s")
    tools = table.table("tools")
    body["tools"] = [
        {"type": "mcp", "server_label": label, "allowed_tools": list(tools.texts(label))} for label in tools.values
    ]
    if (output_format := read_json(table, "format")) is not None:
        body["text"] = {"format": output_format}
    return body


def read_json(table: TomlTable, key: str) -> Any:
    """Return a value as JSON has it; None where there is none. Dates, times and numbers without end are reported."""
    table.known.add(key)
    value = table.values.get(key)
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        table.report(key, "values that JSON has: texts, finite numbers, lists and tables")
        return None
    return value


def read_sink(table: TomlTable, variables: Mapping[str, str]) -> Sink:
    kinds = [kind for kind in SINKS if kind.value in table.values]
    found = {kind: expanded(table.text(kind.value), variables) for kind in kinds}
    table.known |= {kind.value for kind in SINKS}
    for kind in STORAGE_SINKS & found.keys():
        check_place(table, kind.value, found[kind])
    table.close()
    if len(found) > 1:
        table.problems.append(f"{table.path}: expected one sink, found {' and '.join(found)}")
    return next((Sink(kind=kind, target=target) for kind, target in found.items()), Sink())


def read_budgets(table: TomlTable) -> Sequence[Decimal | None]:
    """Return the dollars that one turn may cost, and those of a day and of a month."""
    found = [table.optional(key, table.amount) for key in ("response", "day", "month")]
    table.close()
    return found
