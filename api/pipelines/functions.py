"""How do events reach pipelines over HTTP, and what do operators see of them?"""

from copy import replace
from decimal import Decimal
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response
from msgspec import Struct

from api.endpoints.reports.parameters import require_role
from api.http.authentication import Authenticator, caller_of, owner_of
from api.http.errors import json_answer
from api.http.pagination import continued_list, read_newest_first, unknown_cursor
from api.http.request_body import BodyReader, read_body
from api.pipelines.event_request import greeting, read_events, validation_code
from api.pipelines.pipeline_turns import PipelineTurns
from api.rendering.response import Json
from clients.clock import Clock
from clients.orchestrations import OpenOrchestrations
from domain.errors import Conflict, NotFound
from domain.identity.owners import Owner
from domain.identity.roles import AppRole
from domain.pipelines.cloud_events import CloudEvent
from domain.pipelines.event_run import EventRun, RunStatus, dead_prefix, event_digest
from domain.pipelines.pipeline import Pipeline, Pipelines, TriggerKind
from state.rate_limits import RateLimiter

DEAD = "dead_"


class PipelineFunctions(Struct, frozen=True, kw_only=True):
    """The HTTP functions of pipelines. `client` is the durable client of the invocation."""

    authenticator: Authenticator
    limits: RateLimiter
    bodies: BodyReader
    pipelines: Pipelines
    turns: PipelineTurns
    open_orchestrations: OpenOrchestrations
    clock: Clock

    async def greet(self, req: Request) -> Response:
        """`OPTIONS /v1/events/{pipeline}`: anybody may ask; each event needs a token. Every name has this answer."""
        return Response(status_code=200, headers=dict(greeting(req.headers)))

    async def receive(self, req: Request, client: Any) -> Response:
        """`POST /v1/events/{pipeline}`: an event that has arrived before is answered alike, and changes nothing."""
        sender, pipeline = await self.named(req, AppRole.EVENTS_SEND)
        if pipeline.trigger is not TriggerKind.CLOUD_EVENTS:
            raise no_pipeline(pipeline.name)
        with self.bodies.memory.share() as share:
            raw = await read_body(req, share, limit=self.bodies.limit)
            code = validation_code(req.headers, raw)
            events = () if code else read_events(req.headers, raw)
        if code:
            return json_answer({"validationResponse": code})
        await self.limits.take(sender)
        runs = [await self.begin(pipeline, each, client) for each in events]
        data = [run_object(run) | {"event_id": event.id} for run, event in zip(runs, events, strict=True)]
        return json_answer({"object": "list", "data": data}, status=202)

    async def begin(self, pipeline: Pipeline, event: CloudEvent, client: Any) -> EventRun:
        run = new_run(
            pipeline,
            event_digest(pipeline.name, event.source, event.id),
            event.part(pipeline.input) or "",
            self.clock,
        )
        return await self.turns.begin(run, self.open_orchestrations(client))

    async def list(self, req: Request) -> Response:
        """`GET /v1/pipelines`: those of the operator's tenant."""
        owner = await owner_of(req, self.authenticator)
        require_role(owner, AppRole.OPERATIONS_READ)
        data = [pipeline_object(each) for each in self.pipelines.of_tenant(owner.tenant)]
        return json_answer({"object": "list", "data": data})

    async def dead(self, req: Request) -> Response:
        """`GET /v1/pipelines/{pipeline}/dead`: events without an answer that has arrived, and why; no content."""
        _, pipeline = await self.named(req, AppRole.OPERATIONS_READ)
        wanted = read_newest_first(req)
        known, name, after = self.turns.runs, wanted.after.removeprefix(DEAD), ""
        if name:
            after = await known.dead_entry(pipeline.owner, pipeline.name, name) or ""
            if not after:
                raise unknown_cursor(wanted.after)
        page = await known.dead(pipeline.owner, pipeline.name, after=after, limit=wanted.limit)
        last = f"{DEAD}{page.entry.removeprefix(dead_prefix(pipeline.name))}"
        return json_answer(continued_list([run_object(each) for each in page.found], more=page.more, last=last))

    async def send_again(self, req: Request, client: Any) -> Response:
        """`POST /v1/pipelines/{pipeline}/dead/{dead_id}`"""
        sender, pipeline = await self.named(req, AppRole.EVENTS_SEND)
        digest = req.path_params["dead_id"].removeprefix(DEAD)
        run = await self.turns.runs.find(pipeline.owner, f"event_{pipeline.name}_{digest}")
        if run is None:
            raise NotFound.by_id("Dead event", req.path_params["dead_id"])
        if run.status is not RunStatus.DEAD:
            raise Conflict(f"The event is not dead: it is {run.status}.")
        await self.limits.take(sender)
        again = await self.turns.send_again(run, self.open_orchestrations(client))
        return json_answer(run_object(again), status=202)

    async def named(self, req: Request, role: AppRole) -> tuple[Owner, Pipeline]:
        """Return the caller and the pipeline of the path; raises Forbidden and NotFound."""
        owner = await (caller_of if role is AppRole.EVENTS_SEND else owner_of)(req, self.authenticator)
        require_role(owner, role)
        name = req.path_params["pipeline"]
        pipeline = self.pipelines.open_to(owner.tenant, name)
        if pipeline is None:
            raise no_pipeline(name)
        return owner, pipeline


def no_pipeline(name: str) -> NotFound:
    return NotFound(f"Pipeline '{name}' not found.")


def new_run(pipeline: Pipeline, digest: str, text: str, clock: Clock) -> EventRun:
    """Return the run of an event that has not arrived before."""
    return EventRun(
        pipeline=pipeline.name,
        owner=replace(pipeline.owner, roles=()),
        digest=digest,
        created_at=clock.now(),
        marker=clock.token(),
        text=text,
    )


def run_object(run: EventRun) -> Json:
    """Return a run without what its event says."""
    return {
        "object": "pipeline.event",
        "id": f"{DEAD}{run.digest}" if run.status is RunStatus.DEAD else f"event_{run.digest}",
        "pipeline": run.pipeline,
        "status": run.status.value,
        "reason": run.reason or None,
        "response_id": run.response,
        "created_at": int(run.created_at),
        "step": run.step + 1,
        "sent_again": run.tries,
    }


def pipeline_object(pipeline: Pipeline) -> Json:
    return {
        "object": "pipeline",
        "id": pipeline.name,
        "trigger": pipeline.trigger.value,
        "schedule": pipeline.schedule or None,
        "model": pipeline.model,
        "sink": pipeline.sink.kind.value,
        "owner": pipeline.owner.subject,
        "trusted": pipeline.trusted,
        "steps": [each.name for each in pipeline.steps if each.name],
        "budgets": {
            "response": amount_text(pipeline.response_budget),
            "day": amount_text(pipeline.day_budget),
            "month": amount_text(pipeline.month_budget),
        },
    }


def amount_text(amount: Decimal | None) -> str | None:
    """Return dollars as a decimal string; None where there is no limit."""
    return None if amount is None else f"{amount:f}"
