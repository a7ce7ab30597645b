"""How do many instances enforce the rate limits of owners and tenants, with one document for each tenant?

The document is changed by compare-and-swap. Requests of a tenant that arrive together are decided together, in one
swap. Where other instances change it too, an instance swaps at a pace at which few swaps collide.
The end of a turn is not reported here: the response itself is read when many turns seem to run (docs/decisions).
"""

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from clients.clock import Clock
from clients.single_flight import SingleFlight
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import read_or_none
from clients.storage.port import Container, Create, Document, DocumentKey, DocumentStore, Operation, Replace
from clients.storage.shared_pace import SharedPace
from domain.errors import Conflict, NotFound, RateLimited, Retryable, Unavailable
from domain.identity.owners import Owner
from domain.turns.rate_limits import RateLimitRejection, RateLimits, RateLimitUsage, RunningTurn, admit_turn
from state.money.limit_changes import ChangedLimits, TenantChanges
from state.turns.responses import TurnStore

DOCUMENT = "limits"
KEPT_S = 86_400.0
TRIES = 16
READS_AT_ONCE = 32
MANY = 16
"""This many turns more than were last found running cause a check whether they have ended."""

CHECK_AGAIN_S = 1.0
ADMISSION_S = 60.0
"""A turn that was admitted and has no response after this was never created."""


class AdmissionRequest(Struct, eq=False):
    """One turn that waits for its decision, or for the error because of which there is none.

    `response` is empty for a request that is no turn. A turn that `resumes` was admitted before: it counts as running
    again, whatever the limits say.
    """

    subject: str
    response: str
    resumes: bool = False
    decision: RateLimitUsage | RateLimitRejection | Retryable | None = None


class TenantLimiter:
    """One tenant's limits, as one process sees them."""

    def __init__(
        self,
        tenant: str,
        *,
        store: DocumentStore,
        turns: TurnStore,
        clock: Clock,
        limits: RateLimits,
        changes: TenantChanges,
    ) -> None:
        self.tenant = tenant
        self.key = DocumentKey(container=Container.MONEY, parts=(tenant,))
        self.store = store
        self.turns = turns
        self.clock = clock
        self.configured = limits
        self.changes = changes
        self.lock = asyncio.Lock()
        self.waiting: list[AdmissionRequest] = []
        self.known = RateLimitUsage()
        self.pace = SharedPace(clock)
        self.usage = RateLimitUsage()
        self.ended: Mapping[str, float] = {}
        self.checked_at = 0.0
        self.running_count = 0
        self.running_check = SingleFlight(self.check_running)

    @property
    def limits(self) -> RateLimits:
        """The limits in force, by what this process has read last."""
        return self.changes.known.rates(self.configured)

    def rejection(self, subject: str) -> RateLimitRejection | None:
        """Return why a turn cannot begin, by what this process knows: other instances only use more of the limits."""
        decision = admit_turn(self.known, self.limits, subject=subject, response="", now=self.clock.now())
        return decision if isinstance(decision, RateLimitRejection) else None

    async def enter(self, request: AdmissionRequest) -> RateLimitUsage | RateLimitRejection:
        """Return the decision. The first request in the queue decides for all of them."""
        self.waiting.append(request)
        try:
            async with self.lock:
                if request.decision is None:
                    await self.decide_all()
        finally:
            if request in self.waiting:
                self.waiting.remove(request)
        if request.decision is None:
            raise Unavailable("The rate limits of the tenant could not be read. Try again.", delay_s=1.0)
        if isinstance(request.decision, Retryable):
            raise request.decision
        return request.decision

    async def decide_all(self) -> None:
        try:
            await compare_and_swap(self.clock, self.swap, tries=TRIES)
        except Retryable as failure:
            set_decisions(self.waiting, [failure] * len(self.waiting))

    async def swap(self) -> None:
        """Decide on the stored usage and write it; raises Conflict where another instance has changed it meanwhile."""
        await self.pace.begin()
        requests = list(self.waiting)
        found, _ = await asyncio.gather(self.store.read(self.key, DOCUMENT), self.changes.current())
        stored = read_or_none(found, usage_of) or RateLimitUsage()
        self.forget_ended(request.response for request in requests)
        self.usage = stored.without(self.ended)
        decisions = await self.decisions(requests)
        if self.usage != stored:
            await self.commit(found)
        self.pace.changed(by_others=stored != self.known)
        self.known = self.usage
        self.forget_ended(self.ended.keys() - self.usage.running.keys())
        set_decisions(requests, decisions)
        if len(self.usage.running) > 2 * self.running_count + MANY:
            self.running_check.start()

    def forget_ended(self, names: Iterable[str]) -> None:
        forgotten = frozenset(names)
        self.ended = {name: since for name, since in self.ended.items() if name not in forgotten}

    async def commit(self, found: Document | None) -> None:
        try:
            await self.store.commit(self.key, (self.write(found),))
        except Conflict:
            self.pace.collided()
            raise

    def write(self, found: Document | None) -> Operation:
        body, expires_at = self.usage.to_document(), self.clock.now() + KEPT_S
        if found:
            return Replace(id=DOCUMENT, body=body, etag=found.etag, expires_at=expires_at)
        return Create(id=DOCUMENT, body=body, expires_at=expires_at)

    async def decisions(self, requests: list[AdmissionRequest]) -> list[RateLimitUsage | RateLimitRejection]:
        decisions: list[RateLimitUsage | RateLimitRejection] = []
        for request in requests:
            decision = self.decide(request)
            if isinstance(decision, RateLimitRejection) and decision.rule.counts_running and self.may_check:
                await self.running_check.result()
                self.usage = self.usage.without(self.ended)
                decision = self.decide(request)
            if isinstance(decision, RateLimitUsage):
                self.usage = decision
            decisions.append(decision)
        return decisions

    def decide(self, request: AdmissionRequest) -> RateLimitUsage | RateLimitRejection:
        now = self.clock.now()
        if request.resumes:
            return self.usage.with_running(request.response, RunningTurn(subject=request.subject, since=round(now, 3)))
        return admit_turn(self.usage, self.limits, subject=request.subject, response=request.response, now=now)

    @property
    def may_check(self) -> bool:
        return self.clock.now() >= self.checked_at + CHECK_AGAIN_S

    async def check_running(self) -> None:
        """Read the responses of the turns that count as running; remember those that have ended or wait in place."""
        self.checked_at = self.clock.now()
        counted = list(self.usage.running.items())
        for start in range(0, len(counted), READS_AT_ONCE):
            some = counted[start : start + READS_AT_ONCE]
            ended = await asyncio.gather(*(self.has_ended(name, turn) for name, turn in some))
            over = {name: turn.since for (name, turn), is_over in zip(some, ended, strict=True) if is_over}
            self.ended = {**self.ended, **over}
        self.running_count = sum(name not in self.ended for name, _ in counted)

    async def has_ended(self, response_id: str, turn: RunningTurn) -> bool:
        try:
            response = await self.turns.read(Owner(tenant=self.tenant, subject=turn.subject), response_id)
        except NotFound:
            return self.clock.now() >= turn.since + ADMISSION_S
        except Retryable:
            return False
        return response.status.is_terminal or response.progress.wait is not None


def set_decisions(
    requests: Sequence[AdmissionRequest], decisions: Sequence[RateLimitUsage | RateLimitRejection | Retryable]
) -> None:
    for request, decision in zip(requests, decisions, strict=True):
        request.decision = decision


class RateLimiter:
    """Enforces the rate limits of every owner and tenant."""

    def __init__(
        self, *, store: DocumentStore, turns: TurnStore, clock: Clock, limits: RateLimits, changes: ChangedLimits
    ) -> None:
        self.store = store
        self.turns = turns
        self.clock = clock
        self.limits = limits
        self.changes = changes
        self.limiters: dict[str, TenantLimiter] = {}

    def check(self, owner: Owner) -> None:
        """Raise RateLimited where this process knows that no turn of the owner may begin; reads nothing."""
        raise_rejection(self.limiter(owner).rejection(owner.subject))

    async def enter(self, owner: Owner, response_id: str) -> None:
        """Count a turn that is about to be recorded; raises RateLimited where it may not begin. Safe to repeat."""
        raise_rejection(await self.limiter(owner).enter(AdmissionRequest(subject=owner.subject, response=response_id)))

    async def resume(self, owner: Owner, response_id: str) -> None:
        """Count a turn as running again that has waited for approvals. Safe to repeat."""
        await self.limiter(owner).enter(AdmissionRequest(subject=owner.subject, response=response_id, resumes=True))

    async def take(self, owner: Owner) -> None:
        """Take a token for a request that writes or computes without a turn; raises RateLimited."""
        self.check(owner)
        raise_rejection(await self.limiter(owner).enter(AdmissionRequest(subject=owner.subject, response="")))

    def leave(self, owner: Owner, response_id: str) -> None:
        """Stop counting a turn that was never created; stored with the next turn that is admitted."""
        limiter = self.limiter(owner)
        limiter.ended = {**limiter.ended, response_id: math.inf}

    def limiter(self, owner: Owner) -> TenantLimiter:
        found = self.limiters.get(owner.tenant)
        if found is None:
            found = TenantLimiter(
                owner.tenant,
                store=self.store,
                turns=self.turns,
                clock=self.clock,
                limits=self.limits,
                changes=self.changes.tenant(owner.tenant),
            )
            self.limiters[owner.tenant] = found
        return found


def raise_rejection(decision: RateLimitUsage | RateLimitRejection | None) -> None:
    if isinstance(decision, RateLimitRejection):
        raise RateLimited(decision.rule.value, delay_s=decision.delay_s)


def usage_of(document: Document) -> RateLimitUsage:
    return document.read_as(RateLimitUsage.from_document)
