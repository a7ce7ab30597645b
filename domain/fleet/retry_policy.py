"""What follows a failed attempt: a retry, another backend, or the end of the turn?"""

import math
from typing import Final

from msgspec import Struct

from domain.fleet.failure_classes import Diagnosis, FailureClass

LAST_MOMENT_S: Final = 1.0
"""A wait leaves at least this much of the deadline, or the attempt after it could bring nothing."""

JITTER: Final = 0.5
"""A wait is drawn from its last half, so that callers that failed together don't come back together."""


class RetryLater(Struct, frozen=True, kw_only=True):
    """Try the same backend again after `delay_s` seconds."""

    delay_s: float
    reason: str


class Failover(Struct, frozen=True, kw_only=True):
    """Leave this backend out and route again."""

    reason: str


class GiveUp(Struct, frozen=True, kw_only=True):
    """End the turn. `code` is one of the codes that a failed response may carry."""

    code: str
    reason: str


type RetryDecision = RetryLater | Failover | GiveUp


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How a failure class is retried: delays of `first_s`, growing by `factor` to `cap_s`, until `tries` have failed.

    If another backend can serve the turn, the turn moves there after `failover_after` failures or if a delay would
    exceed `max_wait_s`. Without `fails_over`, neither a retry nor another backend helps.
    """

    code: str
    tries: int
    first_s: float = 0.0
    factor: float = 1.0
    cap_s: float = 0.0
    failover_after: float = math.inf
    max_wait_s: float = math.inf
    fails_over: bool = True


POLICIES: Final = {
    FailureClass.COLD: RetryPolicy(code="server_error", tries=60, first_s=1.0, factor=1.5, cap_s=15.0),
    FailureClass.THROTTLED: RetryPolicy(
        code="rate_limit_exceeded", tries=10, first_s=1.0, factor=2.0, cap_s=30.0, max_wait_s=5.0
    ),
    FailureClass.BROKEN: RetryPolicy(
        code="server_error", tries=4, first_s=0.5, factor=2.0, cap_s=5.0, failover_after=1
    ),
    FailureClass.INDETERMINATE: RetryPolicy(
        code="server_error", tries=6, first_s=0.2, factor=3.0, cap_s=5.0, failover_after=3
    ),
    FailureClass.UNFIT: RetryPolicy(code="invalid_prompt", tries=1, failover_after=1),
    FailureClass.CLIENT: RetryPolicy(code="invalid_prompt", tries=1, fails_over=False),
}

WARM_UP_POLICIES: Final = {
    FailureClass.BROKEN: RetryPolicy(code="server_error", tries=3, first_s=1.0, factor=2.0, cap_s=15.0),
    FailureClass.INDETERMINATE: RetryPolicy(code="server_error", tries=6, first_s=2.0, factor=2.0, cap_s=15.0),
}
"""How a failed warm-up is retried: a rejection ends the turns soon, an unreachable service is retried for longer."""


def retry_decision(
    diagnosis: Diagnosis,
    *,
    attempts: int,
    elapsed_s: float,
    deadline_s: float,
    has_alternative: bool,
    random: float,
) -> RetryDecision:
    """Decide what follows a failed attempt.

    `attempts` counts the failures of this class at this backend, this one included: forty answers of a cold start
    don't use up the patience for one broken connection after it. `elapsed_s` and `deadline_s` run from the turn's
    start; `random`, from 0 to 1, spreads the waits. A wait ends `LAST_MOMENT_S` before the deadline at the latest.
    """
    policy = POLICIES[diagnosis.failure_class]
    left_s = deadline_s - elapsed_s - LAST_MOMENT_S
    delay_s = retry_delay(policy, diagnosis, attempts=attempts, random=random)
    if diagnosis.failure_class is FailureClass.COLD:
        delay_s = min(delay_s, left_s)
    why = failover_reason(policy, attempts=attempts, delay_s=delay_s, left_s=left_s, has_alternative=has_alternative)
    if why is None:
        return RetryLater(delay_s=delay_s, reason=f"{diagnosis.reason}; trying again in {delay_s:.1f} s")
    if has_alternative and policy.fails_over and left_s > 0:
        return Failover(reason=f"{diagnosis.reason}; {why}")
    return GiveUp(code=policy.code, reason=f"{diagnosis.reason}; {why}")


def retry_delay(policy: RetryPolicy, diagnosis: Diagnosis, *, attempts: int, random: float) -> float:
    """Return the seconds to wait: never less than the backend asked for, else longer each time up to the cap."""
    if diagnosis.delay_s is not None:
        return diagnosis.delay_s + JITTER * policy.first_s * random
    growth = policy.factor ** min(attempts - 1, policy.tries)
    return min(policy.first_s * growth, policy.cap_s) * (1 - JITTER + JITTER * random)


def failover_reason(
    policy: RetryPolicy, *, attempts: int, delay_s: float, left_s: float, has_alternative: bool
) -> str | None:
    """Return why another wait is not worth it, or None."""
    reasons = (
        (not policy.fails_over, "repeating it can't help"),
        (left_s <= 0, "no time is left before the deadline"),
        (attempts >= policy.tries, f"{attempts} attempts failed in this way"),
        (delay_s > left_s, f"waiting {delay_s:.1f} s would pass the deadline, {max(left_s, 0):.1f} s are left"),
        (has_alternative and delay_s > policy.max_wait_s, f"another backend can answer before {delay_s:.1f} s"),
        (has_alternative and attempts >= policy.failover_after, "another backend can answer"),
    )
    return next((reason for holds, reason in reasons if holds), None)
