"""How does a request become exactly one turn, even if a step fails or the request is sent again?

Claim, plan, reserve, record, start: each step is safe to repeat, and a repeated request continues with the response of
the first.
"""

from contextlib import suppress
from copy import replace

from activities.tools.caller_grants import CallerGrants
from api.parsing.reserved_metadata import OnRunning
from api.parsing.responses_request import TurnRequest
from api.turns.admission_plan import AdmissionPlan, AdmissionPlanner
from api.turns.caching.answer_keys import AnswerKeys
from api.turns.deliveries import ClaimedRequest, RequestClaims, RequestDelivery
from api.turns.history import previous_not_found
from clients.clock import Clock
from clients.orchestrations import Orchestrations
from domain.errors import Locked, NotFound, Terminal
from domain.identity.owners import Owner
from domain.ids import is_response_id, member_id, thread_of
from domain.log.events import EventKind, LogEvent, ResponseStatus
from domain.money.usage import MISS
from domain.turns.origins import origin_of
from domain.turns.response import Response, ResponseOptions
from state.money.budget_counters import Cover
from state.money.ledger import Ledger
from state.rate_limits import RateLimiter
from state.turns.cached_answers import CachedAnswers, Reuse
from state.turns.responses import TurnStore
from telemetry.spans import current_traceparent

INTERRUPTED_LIMIT = 32
"""A turn that interrupts ends at most so many others: the one that runs, and those that wait."""


class Admission:
    """Admits turns: records each of them once and starts its orchestration."""

    def __init__(
        self,
        *,
        turns: TurnStore,
        ledger: Ledger,
        limits: RateLimiter,
        plans: AdmissionPlanner,
        keys: AnswerKeys,
        answers: CachedAnswers,
        grants: CallerGrants,
        clock: Clock,
        deadline_s: float,
    ) -> None:
        self.turns = turns
        self.ledger = ledger
        self.limits = limits
        self.claims = RequestClaims(turns=turns, limits=limits)
        self.planner = plans.planner
        self.plans = plans
        self.keys = keys
        self.answers = answers
        self.grants = grants
        self.clock = clock
        self.deadline_s = deadline_s

    async def admit(
        self, owner: Owner, request: TurnRequest, delivery: RequestDelivery, orchestrations: Orchestrations
    ) -> Response:
        """Record the turn and start it; return its response, which may be running or ended if this is a repeat."""
        self.planner.check_model_choice(request)
        self.planner.with_rules(owner, request)
        claimed = await self.claims.claim(self.new_claim(owner, request, delivery))
        response = claimed.response or await self.create(claimed, request, orchestrations)
        if response.status is ResponseStatus.QUEUED:
            return await self.start(response, orchestrations)
        return response

    async def start(self, response: Response, orchestrations: Orchestrations) -> Response:
        """Start a turn, or end it at once where it can take the answer of another one over."""
        reuse, response = await self.answers.reuse(response)
        if reuse is not Reuse.TOOK:
            await orchestrations.start(response)
            return response
        await self.ledger.settle(response.owner, response.id, origin=origin_of(response.options))
        await self.grants.drop(response)
        for delivery in self.turns.endpoints.deliveries(response):
            await orchestrations.start_delivery(delivery)
        return response

    def new_claim(self, owner: Owner, request: TurnRequest, delivery: RequestDelivery) -> ClaimedRequest:
        """Return a claim for a new response in the thread of the response or conversation that it continues."""
        if request.previous and not is_response_id(request.previous):
            raise previous_not_found(request.previous)
        parent = request.previous or request.conversation
        thread = thread_of(parent or "") or self.clock.token()
        response_id = member_id("resp", thread=thread, token=self.clock.token())
        return ClaimedRequest(owner=owner, delivery=delivery, response_id=response_id, new_thread=not parent)

    async def create(self, claimed: ClaimedRequest, request: TurnRequest, orchestrations: Orchestrations) -> Response:
        """Record the turn.

        A rejected request leaves nothing behind. Where another delivery of it was faster, its response is returned.
        """
        try:
            return await self.record_when_free(claimed, request, orchestrations)
        except Terminal:
            winner = await self.claims.response_of(claimed)
            if winner:
                return winner
            await self.claims.release(claimed)
            raise

    async def record_when_free(
        self, claimed: ClaimedRequest, request: TurnRequest, orchestrations: Orchestrations
    ) -> Response:
        """Record the turn; where another one has its conversation, do what the request wants; raises Locked."""
        for _ in range(INTERRUPTED_LIMIT):
            try:
                return await self.record(claimed, request)
            except Locked as locked:
                if request.on_running is OnRunning.REJECT:
                    raise
                if locked.running is None:
                    continue
                if request.on_running is OnRunning.QUEUE:
                    waiting = replace(request, ignores_lock=True, pairs_calls=False)
                    return await self.record(claimed, waiting, waits_for=locked.running)
                await self.interrupt(claimed.owner, locked.running, orchestrations)
        return await self.record(claimed, request)

    async def interrupt(self, owner: Owner, response_id: str, orchestrations: Orchestrations) -> None:
        """Cancel the response that has the conversation; one that has just been deleted is gone already."""
        with suppress(NotFound):
            await self.turns.finish(owner, response_id, status=ResponseStatus.CANCELLED)
            await orchestrations.signal_cancelled(response_id)

    async def record(self, claimed: ClaimedRequest, request: TurnRequest, *, waits_for: str | None = None) -> Response:
        """Plan the turn, reserve its worst cost, and write the response, its input and slot 0 of its log."""
        plan = await self.plans.plan(claimed.owner, request, claimed.response_id)
        await self.grants.obtain(
            claimed.owner, claimed.response_id, plan.tool_config, request.assertion, known=plan.granted
        )
        key = None if waits_for else await self.keys.key_of(claimed.owner, request, plan)
        cover = await self.ledger.reserve(
            claimed.owner,
            claimed.response_id,
            plan.costs.most,
            needed=plan.costs.least,
            origin=MISS if key else "",
        )
        approved = await self.plans.answers.decide(claimed.owner, plan.answers)
        response = replace(self.response(claimed, request, plan, cover), approved=approved)
        if waits_for:
            response = replace(response, history=replace(response.history, waits_for=waits_for))
        if key:
            response = replace(response, options=replace(response.options, cache=key.use))
        if key and key.fetched:
            await self.turns.retrieved_context.record(response, key.fetched)
        return await self.turns.admit(response, plan.items, opening_events(response))

    def response(self, claimed: ClaimedRequest, request: TurnRequest, plan: AdmissionPlan, cover: Cover) -> Response:
        now = self.clock.now()
        return Response(
            id=claimed.response_id,
            owner=claimed.owner,
            created_at=now,
            deadline_at=now + (request.deadline_s or self.deadline_s),
            input_items=tuple(item.id for item in plan.items),
            traceparent=current_traceparent(),
            warning=cover.warning,
            budget_left=cover.left,
            options=ResponseOptions(
                model=request.model,
                background=request.background,
                store=request.store,
                instructions=request.instructions,
                sampling=request.sampling,
                tool_config=plan.tool_config,
                metadata=request.metadata,
                include=request.include,
                sources=plan.sources,
                echoed=request.echoed,
                keeps_text=request.keeps_text,
                approval_wait_s=request.approval_wait_s if plan.tool_config.servers else 0.0,
            ),
            history=plan.history_of(request),
        )


def opening_events(response: Response) -> tuple[LogEvent, ...]:
    """Return the events of slot 0: callers see a background response as queued."""
    created = LogEvent(kind=EventKind.CREATED)
    return (created, LogEvent(kind=EventKind.QUEUED)) if response.options.background else (created,)
