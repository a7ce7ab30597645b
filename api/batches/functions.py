"""How are batches created, read, listed and cancelled over HTTP?"""

import hashlib
from contextlib import suppress
from copy import replace
from typing import Any, Final

from azurefunctions.extensions.http.fastapi import Request, Response
from msgspec import Struct
from msgspec.structs import asdict

from activities.batches.check_batch import CheckBatch
from api.batches.batch_body import batch_request
from api.batches.batch_object import openai_from_batch, openai_from_costs
from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.pagination import continued_list, read_newest_first, unknown_cursor
from api.http.request_body import BodyReader
from api.parsing.field_rules import ignored_header
from api.rendering.response import Json
from api.turns.deliveries import hash_of, may_be_repeat, read_delivery
from clients.clock import Clock
from clients.orchestrations import OpenOrchestrations
from domain.batches.batch import Batch, BatchRequest, BatchStatus
from domain.batches.line_ids import batch_id
from domain.errors import Conflict, Invalid, NotFound, Retryable
from domain.identity.owners import Owner
from state.batches.batch_store import BatchStore
from state.batches.line_costs import costs_of_lines
from state.batches.running_lines import RunningLines
from state.files.file_store import FileStore
from state.rate_limits import RateLimiter
from state.turns.idempotency import IdempotencyRecords
from telemetry.spans import current_traceparent

PURPOSE: Final = "batch"
CANCELLABLE: Final = frozenset({BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS, BatchStatus.CANCELLING})


class BatchFunctions(Struct, frozen=True, kw_only=True):
    """The HTTP functions of batches. `client` is the durable client of the invocation."""

    authenticator: Authenticator
    limits: RateLimiter
    bodies: BodyReader
    batches: BatchStore
    running: RunningLines
    files: FileStore
    check: CheckBatch
    claims: IdempotencyRecords
    open_orchestrations: OpenOrchestrations
    clock: Clock

    async def create(self, req: Request, client: Any) -> Response:
        """`POST /v1/batches`: a request with the same `Idempotency-Key`, or that an SDK repeats, is the same batch."""
        owner = await owner_of(req, self.authenticator)
        request, ignored = await self.bodies.read(req, batch_request)
        await self.take_token(req, owner, request)
        batch = Batch(
            id=batch_id(self.thread(req, owner)),
            owner=owner,
            created_at=self.clock.now(),
            request=request,
            traceparent=current_traceparent(),
        )
        if "idempotency-key" not in req.headers:
            batch = replace(batch, id=await self.claimed(req, batch))
        stored = (await self.earlier(batch) if may_be_repeat(req) else None) or await self.checked(batch)
        if stored.request != request:
            raise Conflict("The 'Idempotency-Key' was used for another batch: send a new one.")
        await self.open_orchestrations(client).start_batch(stored)
        return json_answer(await self.shown(stored), headers=ignored_header(ignored))

    def thread(self, req: Request, owner: Owner) -> str:
        """Return the thread of a new batch; with a key, the one of the earlier request with it."""
        if "idempotency-key" not in req.headers:
            return self.clock.token()
        key = read_delivery(req, "").key
        return hashlib.sha256(f"{owner.tenant} {owner.subject} {key}".encode()).hexdigest()[:24]

    async def take_token(self, req: Request, owner: Owner, request: BatchRequest) -> None:
        """Take a token; raises RateLimited. The next try of a rejected request is not an equal batch before it."""
        try:
            await self.limits.take(owner)
        except Retryable:
            if not may_be_repeat(req):
                with suppress(Retryable):
                    await self.claims.forget(owner, claim_key(request))
            raise

    async def claimed(self, req: Request, batch: Batch) -> str:
        """Return the id of a new batch; where an SDK repeats a request by itself, that of the first one."""
        return await self.claims.record(
            batch.owner,
            key=claim_key(batch.request),
            body_hash=content_hash(batch.request),
            response_id=batch.id,
            repeat=may_be_repeat(req),
            new_thread=False,
        )

    async def earlier(self, batch: Batch) -> Batch | None:
        """Return the batch of an earlier delivery, which stays what it is where the checks would now refuse it."""
        try:
            return await self.batches.read(batch.owner, batch.id)
        except NotFound:
            return None

    async def checked(self, batch: Batch) -> Batch:
        """Create a batch that can run; raises what is wrong with it."""
        await self.check_file(batch)
        await self.check.refuse_too_dear(batch)
        return await self.batches.create(batch)

    async def check_file(self, batch: Batch) -> None:
        """Raise NotFound and Invalid for a file that a batch cannot read until its end."""
        stored = await self.files.read(batch.owner, batch.request.input_file)
        if stored.purpose != PURPOSE:
            message = f"Invalid 'input_file_id': expected a file with the purpose {PURPOSE}, not {stored.purpose}."
            raise Invalid(message, field="input_file_id", code="invalid_value")
        if not stored.is_kept(batch.expires_at):
            message = "Invalid 'input_file_id': the file expires before the batch does. Upload it for longer."
            raise Invalid(message, field="input_file_id", code="invalid_value")

    async def list(self, req: Request) -> Response:
        """`GET /v1/batches`, newest first, with the first hundred mistakes of each"""
        owner = await owner_of(req, self.authenticator)
        wanted = read_newest_first(req)
        try:
            page = await self.batches.page(owner, after=wanted.after, limit=wanted.limit)
        except NotFound:
            raise unknown_cursor(wanted.after) from None
        shown = [await self.shown(each, first_page=True) for each in page.found]
        return json_answer(continued_list(shown, more=page.more, last=page.last))

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/batches/{batch_id}`"""
        return json_answer(await self.shown(await self.named(req)))

    async def cancel(self, req: Request, client: Any) -> Response:
        """`POST /v1/batches/{batch_id}/cancel`: no line begins any more, and those that run are cancelled."""
        batch = await self.named(req)
        cancelled = await self.batches.change(batch.owner, batch.id, self.cancelling)
        if cancelled.status is BatchStatus.CANCELLING:
            await self.running.cancel(cancelled)
            start = await self.batches.starts.read(cancelled)
            await self.open_orchestrations(client).wake_batch(cancelled.id, start.looks if start else 0)
        return json_answer(await self.shown(cancelled))

    async def route(self, req: Request) -> Response:
        """`GET /v1/batches/{batch_id}/route`: when the batch begins, why, and what its lines have cost so far."""
        batch = await self.named(req)
        start = await self.batches.starts.read(batch)
        costs = await costs_of_lines(self.batches.store, batch)
        body: Json = {"object": "batch.route", "batch_id": batch.id, "decided_at": None, "decision": None}
        body["cost"] = openai_from_costs(costs, batch.lines)
        if start:
            body |= {"decided_at": start.at, "decision": start.decision.for_owner()}
        return json_answer(body)

    def cancelling(self, batch: Batch) -> Batch:
        if batch.status not in CANCELLABLE or batch.status is BatchStatus.CANCELLING or batch.outcome:
            return batch
        return batch.entered(BatchStatus.CANCELLING, at=self.clock.now())

    async def named(self, req: Request) -> Batch:
        """Return the batch of the path; raises NotFound."""
        owner = await owner_of(req, self.authenticator)
        return await self.batches.read(owner, req.path_params["batch_id"])

    async def shown(self, batch: Batch, *, first_page: bool = False) -> Json:
        """Return the object of a batch, with what its lines have done so far."""
        totals = batch.totals if batch.status.has_ended else await self.batches.lines.totals(batch)
        errors = await self.batches.lines.errors(batch, first_page=first_page) if batch.errors else ()
        pause = await self.batches.pauses.reason(batch) if batch.status is BatchStatus.IN_PROGRESS else ""
        return openai_from_batch(batch, totals, errors, pause=pause)


def claim_key(request: BatchRequest) -> str:
    """Return what equal requests are remembered by, so that one that an SDK repeats is found."""
    return f"batch:{content_hash(request)}"


def content_hash(request: BatchRequest) -> str:
    return hash_of(asdict(request))
