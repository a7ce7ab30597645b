"""May this owner begin another turn now, and if not, when?

Owner and tenant each have a token bucket and a number of turns that may run at once. The last fifth of what is the
tenant's is kept for owners who had less than their equal share of late, so that nobody is starved by a neighbour: with
k owners that is one token every k / rate seconds, and a k-th of the running turns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Self

KEPT_SHARE: Final = 5
"""One part in so many of the tenant's is kept for owners below their share."""

RUNNING_DELAY_S: Final = 2.0
"""Nobody knows when a running turn ends; a caller may ask again after this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """Turns that may begin in a minute on average, in one burst, and run at once."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    owner: RateLimit
    tenant: RateLimit


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBucket:
    """What was left when a token was last taken, in seconds since the epoch."""

    tokens: float
    at: float

    def level(self, limit: RateLimit, now: float) -> float:
        return min(self.tokens + max(now - self.at, 0.0) * limit.rate, limit.burst)

    def taken(self, limit: RateLimit, now: float) -> "TokenBucket":
        return TokenBucket(tokens=round(self.level(limit, now) - 1, 6), at=round(max(now, self.at), 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTurn:
    """Whose turn runs, and since when."""

    subject: str
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitUsage:
    """What a tenant's owners use of their limits. An owner that is not there has a full bucket.

    `running` may name turns that have ended: who needs room finds out.
    """

    tenant: TokenBucket | None = None
    owners: Mapping[str, TokenBucket] = field(default_factory=dict[str, TokenBucket])
    running: Mapping[str, RunningTurn] = field(default_factory=dict[str, RunningTurn])

    def without(self, ended: frozenset[str]) -> "RateLimitUsage":
        return replace(self, running={name: turn for name, turn in self.running.items() if name not in ended})

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
    """Which limit was reached, in words for the caller."""

    OWNER_RATE = "You begin more turns than you may in a minute."
    TENANT_RATE = "Your organisation begins more turns than it may in a minute."
    OWNER_RUNNING = "You have as many turns running as you may."
    TENANT_RUNNING = "Your organisation has as many turns running as it may."

    @property
    def counts_running(self) -> bool:
        return self in (RateLimitRule.OWNER_RUNNING, RateLimitRule.TENANT_RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitRejection:
    """`delay_s` is when it is worth asking again."""

    rule: RateLimitRule
    delay_s: float


def decide(
    usage: RateLimitUsage, limits: RateLimits, *, subject: str, response: str, now: float
) -> RateLimitUsage | RateLimitRejection:
    """Return the usage with one more turn, or why not. Safe to repeat: a turn that counts already counts once."""
    if response in usage.running:
        return usage
    owner = usage.owners.get(subject) or TokenBucket(tokens=limits.owner.burst, at=0.0)
    tenant = usage.tenant or TokenBucket(tokens=limits.tenant.burst, at=now)
    delays = {
        RateLimitRule.OWNER_RATE: until(1, owner, limits.owner, now),
        RateLimitRule.TENANT_RATE: until_tenant(usage, tenant, subject, limits, now),
        RateLimitRule.OWNER_RUNNING: RUNNING_DELAY_S * (usage.running_of(subject) >= limits.owner.running),
        RateLimitRule.TENANT_RUNNING: RUNNING_DELAY_S * is_full(usage, subject, limits.tenant),
    }
    for rule, delay_s in delays.items():
        if delay_s > 0:
            return RateLimitRejection(rule=rule, delay_s=delay_s)
    return RateLimitUsage(
        tenant=tenant.taken(limits.tenant, now),
        owners={**active(usage, limits, now), subject: owner.taken(limits.owner, now)},
        running={**usage.running, response: RunningTurn(subject=subject, since=round(now, 3))},
    )


def active(usage: RateLimitUsage, limits: RateLimits, now: float) -> Mapping[str, TokenBucket]:
    """Return the buckets of owners who have begun a turn of late; others' are full again."""
    window_s = max(limits.owner.window_s, limits.tenant.window_s)
    return {subject: bucket for subject, bucket in usage.owners.items() if now - bucket.at < window_s}


def until(tokens: float, bucket: TokenBucket, limit: RateLimit, now: float) -> float:
    """Return the seconds until a bucket holds so many tokens."""
    return max((tokens - bucket.level(limit, now)) / limit.rate, 0.0)


def until_tenant(usage: RateLimitUsage, tenant: TokenBucket, subject: str, limits: RateLimits, now: float) -> float:
    """Return the seconds until the tenant has a token for this owner: a spare one, or the next of his share."""
    kept = limits.tenant.burst // KEPT_SHARE
    spare_s = until(1 + kept, tenant, limits.tenant, now)
    owners = active(usage, limits, now)
    share_s = len(owners.keys() | {subject}) / limits.tenant.rate
    due_s = max(owners[subject].at + share_s - now, 0.0) if subject in owners else 0.0
    return min(spare_s, max(due_s, until(1, tenant, limits.tenant, now)))


def is_full(usage: RateLimitUsage, subject: str, limit: RateLimit) -> bool:
    """Tell whether the tenant's turns leave no room for this owner."""
    owners = {turn.subject for turn in usage.running.values()} | {subject}
    below_share = usage.running_of(subject) < limit.running / len(owners)
    kept = 0 if below_share else limit.running // KEPT_SHARE
    return len(usage.running) >= limit.running - kept
