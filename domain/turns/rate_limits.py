"""May this owner begin another turn now, and if not, when?

Owners and tenants each have a token bucket and a maximum of running turns. Requests that write or compute without a
turn, such as adding items to a conversation, take a token too. The last fifth of a tenant's tokens and
running turns is reserved for owners who recently used less than an equal share, so that no owner starves another. With
k owners, an equal share is one token every k / rate seconds and a k-th of the running turns.
"""

import math
from collections.abc import Mapping
from copy import replace
from enum import StrEnum
from typing import Any, Final, Self

from msgspec import Struct, field

RESERVED_SHARE: Final = 5
"""The tenant keeps 1/5 of its tokens and running turns for owners below their equal share."""

RUNNING_DELAY_S: Final = 2.0
"""The end of a running turn cannot be predicted; a caller may retry after this delay."""

TICK_S: Final = 0.001
"""The least time between two beginnings of a turn: times are stored in milliseconds."""


class RateLimit(Struct, frozen=True, kw_only=True):
    """How many turns and writes may begin per minute on average and in one burst, and how many turns run at once."""

    per_minute: float
    burst: int
    running: int

    @property
    def rate(self) -> float:
        return self.per_minute / 60

    @property
    def window_s(self) -> float:
        """Return how long an empty bucket takes to fill."""
        return self.burst / self.rate


class RateLimits(Struct, frozen=True, kw_only=True):
    owner: RateLimit
    tenant: RateLimit


class TokenBucket(Struct, frozen=True, kw_only=True):
    """The tokens that were left after the last one was taken at `at` (seconds since the epoch)."""

    tokens: float
    at: float

    def level(self, limit: RateLimit, now: float) -> float:
        return min(self.tokens + max(now - self.at, 0.0) * limit.rate, limit.burst)

    def taken(self, limit: RateLimit, now: float) -> "TokenBucket":
        return TokenBucket(tokens=round(self.level(limit, now) - 1, 6), at=round(max(now, self.at), 3))


class RunningTurn(Struct, frozen=True, kw_only=True):
    """The owner of a running turn, and its start in seconds since the epoch."""

    subject: str
    since: float


class RateLimitUsage(Struct, frozen=True, kw_only=True):
    """How much of their limits the owners of a tenant use. An owner without an entry has a full bucket.

    `running` may contain turns that have ended; they are removed when a new turn needs the room.
    """

    tenant: TokenBucket | None = None
    owners: Mapping[str, TokenBucket] = field(default_factory=dict[str, TokenBucket])
    running: Mapping[str, RunningTurn] = field(default_factory=dict[str, RunningTurn])

    def without(self, ended: Mapping[str, float]) -> "RateLimitUsage":
        """Return the usage without turns that have ended; a turn that has begun again since stays.

        `ended` has the time since when each of them was counted, or a later one.
        """
        running = {name: turn for name, turn in self.running.items() if turn.since > ended.get(name, -math.inf)}
        return replace(self, running=running)

    def with_running(self, response: str, turn: RunningTurn) -> "RateLimitUsage":
        """Return the usage with a turn that runs again, counted once, and from a later time than before."""
        before = self.running.get(response)
        since = max(turn.since, round(before.since + TICK_S, 3)) if before else turn.since
        return replace(self, running={**self.running, response: replace(turn, since=since)})

    def running_of(self, subject: str) -> int:
        return sum(turn.subject == subject for turn in self.running.values())

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": "limits",
            "v": 1,
            "tenant": [self.tenant.tokens, self.tenant.at] if self.tenant else None,
            "owners": {subject: [bucket.tokens, bucket.at] for subject, bucket in self.owners.items()},
            "running": {name: [turn.subject, turn.since] for name, turn in self.running.items()},
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            tenant=bucket_from(body["tenant"]) if body["tenant"] else None,
            owners={subject: bucket_from(pair) for subject, pair in body["owners"].items()},
            running={name: RunningTurn(subject=pair[0], since=pair[1]) for name, pair in body["running"].items()},
        )


def bucket_from(pair: tuple[float, float]) -> TokenBucket:
    return TokenBucket(tokens=pair[0], at=pair[1])


class RateLimitRule(StrEnum):
    """Which limit was reached; the value is the message for the caller."""

    OWNER_RATE = "You have reached your limit of new turns and writes per minute. Retry after the given delay."
    TENANT_RATE = (
        "Your organisation has reached its limit of new turns and writes per minute. Retry after the given delay."
    )
    OWNER_RUNNING = "You have reached your limit of running turns. Wait until one of them ends, then retry."
    TENANT_RUNNING = "Your organisation has reached its limit of running turns. Retry after the given delay."

    @property
    def counts_running(self) -> bool:
        return self in (RateLimitRule.OWNER_RUNNING, RateLimitRule.TENANT_RUNNING)


class RateLimitRejection(Struct, frozen=True, kw_only=True):
    """The limit that was reached; a retry may succeed after `delay_s` seconds."""

    rule: RateLimitRule
    delay_s: float


def admit_turn(
    usage: RateLimitUsage, limits: RateLimits, *, subject: str, response: str, now: float
) -> RateLimitUsage | RateLimitRejection:
    """Return the usage with one more turn, or the rejection. Idempotent: a turn is counted once.

    Without a `response`, a request that is no turn takes a token: it does not count as running.
    """
    if response in usage.running:
        return usage
    for rule, delay_s in delays(usage, limits, subject=subject, now=now, runs=bool(response)).items():
        if delay_s > 0:
            return RateLimitRejection(rule=rule, delay_s=delay_s)
    owner, tenant = buckets(usage, limits, subject, now)
    turn = {response: RunningTurn(subject=subject, since=round(now, 3))} if response else {}
    return RateLimitUsage(
        tenant=tenant.taken(limits.tenant, now),
        owners={**active_owners(usage, limits, now), subject: owner.taken(limits.owner, now)},
        running={**usage.running, **turn},
    )


def buckets(usage: RateLimitUsage, limits: RateLimits, subject: str, now: float) -> tuple[TokenBucket, TokenBucket]:
    """Return the buckets of an owner and its tenant; both are full where nothing was taken yet."""
    owner = usage.owners.get(subject) or TokenBucket(tokens=limits.owner.burst, at=0.0)
    return owner, usage.tenant or TokenBucket(tokens=limits.tenant.burst, at=now)


def delays(
    usage: RateLimitUsage, limits: RateLimits, *, subject: str, now: float, runs: bool
) -> Mapping[RateLimitRule, float]:
    """Return how many seconds each rule makes the owner wait; `runs`: the rules of running turns count too."""
    owner, tenant = buckets(usage, limits, subject, now)
    rates = {
        RateLimitRule.OWNER_RATE: seconds_until(1, owner, limits.owner, now),
        RateLimitRule.TENANT_RATE: seconds_until_tenant(usage, tenant, subject, limits, now),
    }
    if not runs:
        return rates
    return {
        **rates,
        RateLimitRule.OWNER_RUNNING: RUNNING_DELAY_S * (usage.running_of(subject) >= limits.owner.running),
        RateLimitRule.TENANT_RUNNING: RUNNING_DELAY_S * is_tenant_full(usage, subject, limits.tenant),
    }


def active_owners(usage: RateLimitUsage, limits: RateLimits, now: float) -> Mapping[str, TokenBucket]:
    """Return the buckets of owners with a recent turn; all other buckets are full again."""
    window_s = max(limits.owner.window_s, limits.tenant.window_s)
    return {subject: bucket for subject, bucket in usage.owners.items() if now - bucket.at < window_s}


def seconds_until(tokens: float, bucket: TokenBucket, limit: RateLimit, now: float) -> float:
    """Return the seconds until a bucket holds this many tokens."""
    return max((tokens - bucket.level(limit, now)) / limit.rate, 0.0)


def seconds_until_tenant(
    usage: RateLimitUsage, tenant: TokenBucket, subject: str, limits: RateLimits, now: float
) -> float:
    """Return the seconds until the tenant has an unreserved token, or the next one of this owner's share."""
    reserved = limits.tenant.burst // RESERVED_SHARE
    spare_s = seconds_until(1 + reserved, tenant, limits.tenant, now)
    owners = active_owners(usage, limits, now)
    share_s = len(owners.keys() | {subject}) / limits.tenant.rate
    due_s = max(owners[subject].at + share_s - now, 0.0) if subject in owners else 0.0
    return min(spare_s, max(due_s, seconds_until(1, tenant, limits.tenant, now)))


def is_tenant_full(usage: RateLimitUsage, subject: str, limit: RateLimit) -> bool:
    """Tell whether the tenant's turns leave no room for this owner."""
    owners = {turn.subject for turn in usage.running.values()} | {subject}
    below_share = usage.running_of(subject) < limit.running / len(owners)
    reserved = 0 if below_share else limit.running // RESERVED_SHARE
    return len(usage.running) >= limit.running - reserved
