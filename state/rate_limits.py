"""How do many instances hold owners and tenants to their limits, with one document a tenant?

The document is changed by compare-and-swap. Requests of a tenant that come together are decided together, in one swap.
Nobody reports that a turn has ended: its response says so, and is asked when there seem to be many (docs/decisions).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from clients.clock import Clock
from clients.single_flight import SingleFlight
from clients.storage.port import Container, Create, Document, DocumentKey, DocumentStore, Operation, Replace
from domain.errors import Conflict, NotFound, RateLimited, Retryable, Unavailable
from domain.identity.owners import Owner
from domain.turns.rate_limits import RateLimitRejection, RateLimits, RateLimitUsage, RunningTurn, admit_turn
from state.turns.responses import TurnStore

DOCUMENT = "limits"
KEPT_S = 86_400.0
TRIES = 8
ASKED_AT_ONCE = 32
MANY = 16
"""So many turns more than were last found running are asked whether they have ended."""

ASK_AGAIN_S = 1.0
ADMISSION_S = 60.0
"""A turn that was let in and has no response after this never came to be."""


@dataclass(slots=True, eq=False)
class AdmissionRequest:
    """One turn that waits for its verdict, or for word that none can be had."""

    subject: str
    response: str
    decision: RateLimitUsage | RateLimitRejection | Retryable | None = None


class TenantLimiter:
    """One tenant's limits, as one process sees them."""

    def __init__(self, tenant: str, store: DocumentStore, turns: TurnStore, clock: Clock, limits: RateLimits) -> None:
        self.tenant = tenant
        self.key = DocumentKey(container=Container.MONEY, parts=(tenant,))
        self.store = store
        self.turns = turns
        self.clock = clock
        self.limits = limits
        self.lock = asyncio.Lock()
        self.waiting: list[AdmissionRequest] = []
        self.known = RateLimitUsage()
        self.usage = RateLimitUsage()
        self.ended: frozenset[str] = frozenset()
        self.asked_at = 0.0
        self.alive = 0
        self.asking = SingleFlight(self.ask)

    def refusal(self, subject: str) -> RateLimitRejection | None:
        """Return why a turn can't begin as far as is known here: others only ever take more from the buckets."""
        verdict = admit_turn(self.known, self.limits, subject=subject, response="", now=self.clock.now())
        return verdict if isinstance(verdict, RateLimitRejection) and not verdict.rule.counts_running else None

    async def enter(self, request: AdmissionRequest) -> RateLimitUsage | RateLimitRejection:
        """Return what was decided. Whoever is first decides for all who wait."""
        self.waiting.append(request)
        try:
            async with self.lock:
                if request.decision is None:
                    await self.decide_all()
        finally:
            if request in self.waiting:
                self.waiting.remove(request)
        if request.decision is None or isinstance(request.decision, Retryable):
            raise request.decision or Unavailable("Too many change the limits of the tenant at once.", delay_s=1.0)
        return request.decision

    async def decide_all(self) -> None:
        requests = list(self.waiting)
        for _ in range(TRIES):
            try:
                return await self.swap(requests)
            except Conflict:
                await self.clock.sleep(self.clock.fraction() * 0.02)
            except Retryable as failure:
                return set_decisions(requests, [failure] * len(requests))
        return None

    async def swap(self, requests: list[AdmissionRequest]) -> None:
        """Decide on what the document says now, and write it; raises Conflict where it says something else by then."""
        found = await self.store.read(self.key, DOCUMENT)
        there = RateLimitUsage.from_document(found.body) if found else RateLimitUsage()
        self.ended -= {request.response for request in requests}
        self.usage = there.without(self.ended)
        verdicts = await self.verdicts(requests)
        if self.usage != there:
            await self.store.commit(self.key, (self.write(found),))
        self.known = self.usage
        self.ended &= self.usage.running.keys()
        set_decisions(requests, verdicts)
        if len(self.usage.running) > 2 * self.alive + MANY:
            self.asking.start()

    def write(self, found: Document | None) -> Operation:
        body, expires_at = self.usage.to_document(), self.clock.now() + KEPT_S
        if found:
            return Replace(id=DOCUMENT, body=body, etag=found.etag, expires_at=expires_at)
        return Create(id=DOCUMENT, body=body, expires_at=expires_at)

    async def verdicts(self, requests: list[AdmissionRequest]) -> list[RateLimitUsage | RateLimitRejection]:
        verdicts: list[RateLimitUsage | RateLimitRejection] = []
        for request in requests:
            verdict = self.decide(request)
            if isinstance(verdict, RateLimitRejection) and verdict.rule.counts_running and self.may_ask:
                await self.asking.result()
                self.usage = self.usage.without(self.ended)
                verdict = self.decide(request)
            if isinstance(verdict, RateLimitUsage):
                self.usage = verdict
            verdicts.append(verdict)
        return verdicts

    def decide(self, request: AdmissionRequest) -> RateLimitUsage | RateLimitRejection:
        now = self.clock.now()
        return admit_turn(self.usage, self.limits, subject=request.subject, response=request.response, now=now)

    @property
    def may_ask(self) -> bool:
        return self.clock.now() >= self.asked_at + ASK_AGAIN_S

    async def ask(self) -> None:
        """Ask the turns that count as running whether they are."""
        self.asked_at = self.clock.now()
        begun = list(self.usage.running.items())
        for start in range(0, len(begun), ASKED_AT_ONCE):
            some = begun[start : start + ASKED_AT_ONCE]
            over = await asyncio.gather(*(self.is_over(name, turn) for name, turn in some))
            self.ended |= {name for (name, _), ended in zip(some, over, strict=True) if ended}
        self.alive = sum(name not in self.ended for name, _ in begun)

    async def is_over(self, name: str, begun: RunningTurn) -> bool:
        try:
            response = await self.turns.read(Owner(tenant=self.tenant, subject=begun.subject), name)
        except NotFound:
            return self.clock.now() >= begun.since + ADMISSION_S
        except Retryable:
            return False
        return response.status.is_terminal


def set_decisions(
    requests: Sequence[AdmissionRequest], verdicts: Sequence[RateLimitUsage | RateLimitRejection | Retryable]
) -> None:
    for request, verdict in zip(requests, verdicts, strict=True):
        request.decision = verdict


class RateLimiter:
    """Holds every owner and tenant to their limits."""

    def __init__(self, *, store: DocumentStore, turns: TurnStore, clock: Clock, limits: RateLimits) -> None:
        self.store = store
        self.turns = turns
        self.clock = clock
        self.limits = limits
        self.limiters: dict[str, TenantLimiter] = {}

    def check(self, owner: Owner) -> None:
        """Raise TooMany where it is known here already that no turn of the owner's may begin; asks nobody."""
        raise_rejection(self.limiter(owner).refusal(owner.subject))

    async def enter(self, owner: Owner, response_id: str) -> None:
        """Count a turn that is about to be recorded; raises TooMany where it may not begin. Safe to repeat."""
        raise_rejection(await self.limiter(owner).enter(AdmissionRequest(subject=owner.subject, response=response_id)))

    def leave(self, owner: Owner, response_id: str) -> None:
        """Count a turn no more that never came to be; written with the next one that is let in."""
        self.limiter(owner).ended |= {response_id}

    def limiter(self, owner: Owner) -> TenantLimiter:
        found = self.limiters.get(owner.tenant)
        if found is None:
            found = TenantLimiter(owner.tenant, self.store, self.turns, self.clock, self.limits)
            self.limiters[owner.tenant] = found
        return found


def raise_rejection(verdict: RateLimitUsage | RateLimitRejection | None) -> None:
    if isinstance(verdict, RateLimitRejection):
        raise RateLimited(verdict.rule.value, delay_s=verdict.delay_s)
