"""What does each command ask of the API, and how does it show the answer?"""

import argparse
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from ganglion.remote.client import ApiClient, ApiError
from ganglion.remote.tables import moment, shown, table, value_at
from ganglion.remote.turn_report import turn_lines

TURNS: Final = ("id", "created_at", "status", "model", "backend", "attempts", "cold", "cost_usd", "cost_status")
FLEET: Final = (
    "id",
    "model",
    "status",
    "obstacle.reason",
    "running",
    "queued",
    "start.p50_s",
    "start.p99_s",
    "session.cost_usd",
)
TOOLS: Final = ("server_label", "name", "status", "id", "description")
BUDGETS: Final = ("id", "period", "limit_usd", "spent_usd", "held_usd", "left_usd", "projected_usd", "resets_at")
USAGE: Final = (
    "attempts",
    "input_tokens",
    "output_tokens",
    "backends_usd",
    "store_usd",
    "functions_usd",
    "provisional_usd",
    "estimated_usd",
    "cost_usd",
)
ITEMS: Final = ("items", "cost_per_item_usd", "warm_ups", "joins", "hits", "cost_usd")
ITEM_KINDS: Final = frozenset({"batch", "pipeline", "cache"})
BATCHES: Final = (
    "id",
    "created_at",
    "status",
    "endpoint",
    "model",
    "request_counts.total",
    "request_counts.completed",
    "request_counts.failed",
    "expires_at",
)
PAUSE: Final = "metadata.ganglion_ending"
"""Why a batch does not run now."""
PIPELINES: Final = ("id", "trigger", "schedule", "model", "sink", "owner", "trusted")
EVENTS: Final = ("id", "created_at", "status", "sent_again", "response_id", "reason")
ASLEEP: Final = "asleep"
LIMITS: Final = ("id", "in_force", "configured", "changed")
NO_LIMIT: Final = "none"

DELTA: Final = "response.output_text.delta"
ENDED: Final = ("response.completed", "response.failed", "response.incomplete", "response.cancelled", "error")

type Output = AsyncIterator[str]


def as_json(body: Mapping[str, Any]) -> str:
    return json.dumps(body, indent=2) + "\n"


def response(options: argparse.Namespace) -> str:
    return f"/v1/responses/{quote(options.id, safe='')}"


async def turns(api: ApiClient, options: argparse.Namespace) -> Output:
    body = await api.get(
        "/v1/turns", limit=options.limit, status=options.status, scope="tenant" if options.tenant else None
    )
    yield as_json(body) if options.json else table(body["data"], TURNS)


async def fleet(api: ApiClient, options: argparse.Namespace) -> Output:
    body = await api.get("/v1/fleet")
    yield as_json(body) if options.json else table(body["data"], FLEET)


async def tools(api: ApiClient, options: argparse.Namespace) -> Output:
    body = await api.get("/v1/tools")
    yield as_json(body) if options.json else table(body["data"], TOOLS)


async def accept(api: ApiClient, options: argparse.Namespace) -> Output:
    """Accept a tool as it is listed now; the operator names its hash, so that it is the one that was looked at."""
    body = await api.post(f"/v1/tools/{quote(options.server, safe='')}/{quote(options.id, safe='')}")
    yield as_json(body) if options.json else table([body], TOOLS)


async def budgets(api: ApiClient, options: argparse.Namespace) -> Output:
    body = await api.get("/v1/budgets")
    yield as_json(body) if options.json else table(body["data"], BUDGETS)


async def usage(api: ApiClient, options: argparse.Namespace) -> Output:
    body = await api.get("/v1/usage", group_by=options.by, limit=options.limit)
    by = options.by.split(",")
    columns = USAGE[-1:] if "cause" in by else USAGE if ITEM_KINDS.isdisjoint(by) else ITEMS
    yield as_json(body) if options.json else table(body["data"], (*by, *columns))


async def limits(api: ApiClient, options: argparse.Namespace) -> Output:
    """Change budgets and rate limits where the command names some; show those in force."""
    if options.set or options.reset:
        values = dict(assignment(each) for each in options.set)
        tenant = {"tenant": options.tenant} if options.tenant else {}
        body = await api.post("/v1/limits", {**tenant, "values": values, "reset": options.reset})
    else:
        body = await api.get("/v1/limits", tenant=options.tenant)
    yield as_json(body) if options.json else limit_lines(body)


def assignment(text: str) -> tuple[str, str | None]:
    """Read NAME=VALUE; the value `none` removes a limit."""
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise ApiError(f"--set {text}: expected NAME=VALUE, such as tenant_day=20, or tenant_day={NO_LIMIT}")
    return name, None if value == NO_LIMIT else value


def limit_lines(body: Mapping[str, Any]) -> str:
    changed = f"changed {moment(body['changed_at'])} UTC by {body['changed_by']}" if body["changed_at"] else "unchanged"
    ending = f"every instance applies a change within {body['in_force_within_s']:.0f} s"
    return f"{table(body['data'], LIMITS)}\ntenant {body['tenant']}, {shown('changed', changed)}; {ending}\n"


async def turn(api: ApiClient, options: argparse.Namespace) -> Output:
    body = await api.get(f"{response(options)}/route")
    yield as_json(body) if options.json else "".join(f"{line}\n" for line in turn_lines(body))


async def follow(api: ApiClient, options: argparse.Namespace) -> Output:
    """Stream a turn from its first event; a turn that ended is shown whole."""
    ending = ""
    async for event in api.events(response(options), stream="true"):
        if options.json:
            yield json.dumps(event) + "\n"
        elif event["type"] == DELTA:
            yield "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in event["delta"])
        if event["type"] in ENDED:
            ending = event["type"]
            if not options.json:
                yield f"\n[{ending}]\n"
    if not ending:
        raise ApiError("the stream ended before the turn; run the command again to continue")


async def cancel(api: ApiClient, options: argparse.Namespace) -> Output:
    body = await api.post(f"{response(options)}/cancel")
    yield as_json(body) if options.json else f"{body['id']}  {body['status']}\n"


async def batches(api: ApiClient, options: argparse.Namespace) -> Output:
    """List batches, show one of them, or cancel it."""
    path = f"/v1/batches/{quote(options.id, safe='')}"
    if options.cancel and not options.id:
        raise ApiError("--cancel needs the id of a batch: python -m ganglion batches batch_… --cancel")
    if options.cancel:
        body = await api.post(f"{path}/cancel")
    else:
        body = await (api.get(path) if options.id else api.get("/v1/batches", limit=options.limit))
    route = await api.get(f"{path}/route") if options.id else {}
    if options.json:
        yield as_json({**body, "route": route} if options.id else body)
        return
    yield "".join(batch_lines(body.get("data", [body]), route.get("decision")))
    if options.id:
        errors: dict[str, Any] = body.get("errors") or {}
        for error in errors.get("data", ()):
            where = f"line {error['line']}: " if error["line"] else ""
            yield f"{where}{shown('message', error['message'])}\n"


def batch_lines(found: Sequence[Mapping[str, Any]], decision: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield the table of batches, why any of them does not run now, and why the one that is shown begins."""
    yield table(found, BATCHES)
    for each in found:
        if pause := value_at(each, PAUSE):
            yield f"{shown('id', each['id'])}  {shown('pause', pause)}\n"
    if decision:
        yield f"decided  {shown('reason', decision['reason'])}\n"


async def pipelines(api: ApiClient, options: argparse.Namespace) -> Output:
    """List the pipelines, or the dead events of one; or send one of these again."""
    if options.send_again and not options.name:
        raise ApiError(
            "--send-again needs the pipeline of the event: python -m ganglion pipelines NAME --send-again dead_…"
        )
    path = f"/v1/pipelines/{quote(options.name, safe='')}/dead"
    if options.send_again:
        body = await api.post(f"{path}/{quote(options.send_again, safe='')}")
    else:
        body = await (api.get(path, limit=options.limit) if options.name else api.get("/v1/pipelines"))
    columns = EVENTS if options.name else PIPELINES
    yield as_json(body) if options.json else table(body.get("data", [body]), columns)


async def warm(api: ApiClient, options: argparse.Namespace) -> Output:
    """Say what a warm-up may cost, ask, and start the backend."""
    path = f"/v1/fleet/{quote(options.name, safe='')}/warm_up"
    if not options.yes:
        planned = await api.post(path, dry_run="true")
        sys.stderr.write(warm_up_terms(planned))
        if planned["status"] == ASLEEP and not is_confirmed(sys.stdin.readline()):
            raise ApiError(f"{shown('backend', planned['backend'])} was not started")
    body = await api.post(path)
    yield as_json(body) if options.json else warm_up_result(body)


def warm_up_terms(planned: Mapping[str, Any]) -> str:
    """Return what a warm-up costs that no turn uses, with the question whether to start it."""
    name = shown("backend", planned["backend"])
    if planned["status"] != ASLEEP:
        return f"{name} is {planned['status']} already: nothing is charged\n"
    idle = "" if planned["idle_s"] is None else f" and {planned['idle_s']:g} s of idle time"
    worst = f"a start of up to {planned['worst_start_s']:g} s{idle}"
    return f"{name}: at most ${planned['worst_usd']} for {worst}; turns that use it pay their share. Start it? [y/N] "


def is_confirmed(answer: str) -> bool:
    return answer.strip().lower() in ("y", "yes")


def warm_up_result(body: Mapping[str, Any]) -> str:
    name, status = shown("backend", body["backend"]), shown("status", body["status"])
    charged = (
        f"at most ${body['worst_usd']}; the bill is that of {body['id']}" if body["sent"] else "nothing is charged"
    )
    return f"{name}  {status}  {charged}\n"
