"""Do limits hold, refill, and leave something for every owner?"""

import heapq
import math
from collections import Counter
from collections.abc import Mapping
from copy import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.turns.rate_limits import (
    RateLimit,
    RateLimitRejection,
    RateLimitRule,
    RateLimits,
    RateLimitUsage,
    RunningTurn,
    admit_turn,
)

NOW = 1_800_000_000.0
LIMITS = RateLimits(
    owner=RateLimit(per_minute=60, burst=5, running=3), tenant=RateLimit(per_minute=120, burst=20, running=10)
)
WIDE = RateLimit(per_minute=6000, burst=1000, running=1000)


def try_admit(
    usage: RateLimitUsage, subject: str, number: int, *, now: float = NOW, limits: RateLimits = LIMITS
) -> RateLimitUsage | RateLimitRejection:
    return admit_turn(usage, limits, subject=subject, response=f"resp_{subject}_{number}", now=now)


def usage_after(turns: Mapping[str, int], *, limits: RateLimits, now: float = NOW) -> RateLimitUsage:
    """Return the usage when every owner has begun so many turns at once."""
    usage = RateLimitUsage()
    for subject, count in turns.items():
        for number in range(count):
            verdict = try_admit(usage, subject, number, now=now, limits=limits)
            assert isinstance(verdict, RateLimitUsage), verdict
            usage = verdict
    return usage


def rejection(
    usage: RateLimitUsage, subject: str, *, now: float = NOW, limits: RateLimits = LIMITS
) -> RateLimitRejection:
    verdict = try_admit(usage, subject, 999, now=now, limits=limits)
    assert isinstance(verdict, RateLimitRejection)
    return verdict


def idle(usage: RateLimitUsage) -> RateLimitUsage:
    """Return the usage when all that ran has ended."""
    return replace(usage, running={})


def test_an_owner_may_begin_a_burst_and_then_one_turn_at_a_time() -> None:
    limits = replace(LIMITS, owner=replace(LIMITS.owner, running=100), tenant=WIDE)
    usage = usage_after({"a": 5}, limits=limits)
    rejected = rejection(usage, "a", limits=limits)
    assert (rejected.rule, rejected.delay_s) == (RateLimitRule.OWNER_RATE, pytest.approx(1.0))
    assert isinstance(try_admit(usage, "a", 5, now=NOW + rejected.delay_s, limits=limits), RateLimitUsage)
    assert isinstance(try_admit(usage, "b", 0, limits=limits), RateLimitUsage)


def test_an_owner_may_have_so_many_turns_running() -> None:
    usage = usage_after({"a": 3}, limits=LIMITS)
    assert rejection(usage, "a").rule is RateLimitRule.OWNER_RUNNING
    assert rejection(usage, "a").delay_s > 0
    ended = usage.without({"resp_a_1": NOW})
    assert isinstance(try_admit(ended, "a", 3), RateLimitUsage)


def test_a_tenant_may_begin_so_many_turns() -> None:
    limits = RateLimits(owner=WIDE, tenant=replace(LIMITS.tenant, running=1000))
    usage = usage_after({f"owner {number}": 1 for number in range(20)}, limits=limits)
    rejected = rejection(usage, "one more", limits=limits)
    assert (rejected.rule, rejected.delay_s) == (RateLimitRule.TENANT_RATE, pytest.approx(0.5))


def test_a_tenant_may_have_so_many_turns_running() -> None:
    limits = replace(LIMITS, tenant=replace(LIMITS.tenant, burst=1000))
    usage = usage_after({f"owner {number}": 1 for number in range(10)}, limits=limits)
    assert rejection(usage, "one more", limits=limits).rule is RateLimitRule.TENANT_RUNNING


def test_a_lone_owner_leaves_a_fifth_to_others() -> None:
    limits = RateLimits(owner=WIDE, tenant=replace(LIMITS.tenant, running=1000))
    usage = usage_after({"greedy": 16}, limits=limits)
    assert rejection(usage, "greedy", limits=limits).rule is RateLimitRule.TENANT_RATE
    assert isinstance(try_admit(usage, "polite", 0, limits=limits), RateLimitUsage)


def test_an_owner_with_more_than_an_equal_share_of_running_turns_leaves_the_last_fifth() -> None:
    limits = RateLimits(owner=WIDE, tenant=replace(LIMITS.tenant, burst=1000))
    usage = usage_after({"polite": 1, "greedy": 7}, limits=limits)
    assert rejection(usage, "greedy", limits=limits).rule is RateLimitRule.TENANT_RUNNING
    assert isinstance(try_admit(usage, "polite", 1, limits=limits), RateLimitUsage)
    assert isinstance(try_admit(usage, "new", 0, limits=limits), RateLimitUsage)


def test_a_turn_that_counts_already_counts_once() -> None:
    usage = usage_after({"a": 3}, limits=LIMITS)
    assert try_admit(usage, "a", 2) == usage


def test_owners_who_are_long_silent_are_forgotten() -> None:
    usage = idle(usage_after({"a": 1, "b": 1}, limits=LIMITS))
    later = try_admit(usage, "c", 0, now=NOW + 3600)
    assert isinstance(later, RateLimitUsage)
    assert later.owners.keys() == {"c"}


def test_a_clock_that_is_behind_takes_nothing_back() -> None:
    usage = usage_after({"a": 1}, limits=LIMITS)
    verdict = try_admit(usage, "a", 1, now=NOW - 100)
    assert isinstance(verdict, RateLimitUsage)
    assert verdict.owners["a"].tokens == 3
    assert verdict.owners["a"].at == NOW


def test_usage_is_stored_as_it_is() -> None:
    usage = usage_after({"a": 2, "b": 1}, limits=LIMITS)
    assert RateLimitUsage.from_document(usage.to_document()) == usage
    assert RateLimitUsage.from_document(RateLimitUsage().to_document()) == RateLimitUsage()


STEPS = st.lists(st.tuples(st.floats(0, 5), st.sampled_from("abc"), st.booleans()), max_size=60)


@settings(deadline=None)
@given(STEPS)
def test_no_limit_is_ever_exceeded_and_a_rejection_gives_its_delay(steps: list[tuple[float, str, bool]]) -> None:
    """Each step: seconds pass, an owner asks, and perhaps the oldest turn ends."""
    usage, now, begun = RateLimitUsage(), NOW, list[tuple[float, str]]()
    for number, (seconds, subject, ends) in enumerate(steps):
        now += seconds
        if ends and usage.running:
            usage = usage.without({next(iter(usage.running)): math.inf})
        verdict = try_admit(usage, subject, number, now=now)
        if isinstance(verdict, RateLimitRejection):
            assert verdict.delay_s > 0
            free = replace(usage, running={}) if verdict.rule.counts_running else usage
            assert isinstance(try_admit(free, subject, number, now=now + verdict.delay_s + 0.001), RateLimitUsage)
            continue
        usage = verdict
        begun.append((now, subject))
        assert usage.running_of(subject) <= LIMITS.owner.running
        assert len(usage.running) <= LIMITS.tenant.running
        for limit, mine in (
            (LIMITS.owner, [at for at, who in begun if who == subject]),
            (LIMITS.tenant, [a for a, _ in begun]),
        ):
            for first in mine:
                since = [at for at in mine if at >= first]
                assert len(since) <= limit.burst + (now - first) * limit.rate + 0.01


def turns_begun(seconds: float, every_s: Mapping[str, float], limits: RateLimits) -> Counter[str]:
    """Return how many turns each owner begins who asks so often, and ends each at once."""
    queue = [(NOW + period * (1 + index / 7), subject) for index, (subject, period) in enumerate(every_s.items())]
    heapq.heapify(queue)
    usage, begun, number = RateLimitUsage(), Counter[str](), 0
    while queue[0][0] < NOW + seconds:
        now, subject = heapq.heappop(queue)
        heapq.heappush(queue, (now + every_s[subject], subject))
        verdict = try_admit(usage, subject, number := number + 1, now=now, limits=limits)
        if isinstance(verdict, RateLimitUsage):
            usage = idle(verdict)
            begun[subject] += 1
    return begun


TIGHT = RateLimits(
    owner=RateLimit(per_minute=480, burst=20, running=100), tenant=RateLimit(per_minute=600, burst=50, running=100)
)


@pytest.mark.slow
def test_greedy_owners_do_not_starve_a_polite_one() -> None:
    begun = turns_begun(120, {"greedy": 0.01, "greedy too": 0.01, "greedier": 0.002, "polite": 1.0}, TIGHT)
    assert begun["polite"] >= 118
    assert sum(begun.values()) <= 50 + 120 * 10 + 1


@pytest.mark.slow
def test_owners_who_are_all_greedy_get_equal_shares() -> None:
    begun = turns_begun(120, {"a": 0.002, "b": 0.011, "c": 0.029, "d": 0.05}, TIGHT)
    assert min(begun.values()) > 0.8 * max(begun.values())
    assert sum(begun.values()) >= 0.95 * 120 * 10


def test_what_others_leave_is_an_owners_to_use() -> None:
    begun = turns_begun(120, {"busy": 0.01, "seldom": 10.0}, TIGHT)
    assert begun["busy"] >= 0.95 * 120 * TIGHT.owner.rate
    assert begun["seldom"] == 11


def test_a_turn_is_remembered_with_its_owner_and_its_time() -> None:
    usage = usage_after({"a": 1}, limits=LIMITS)
    assert usage.running == {"resp_a_0": RunningTurn(subject="a", since=NOW)}


def test_a_turn_that_runs_again_is_not_removed_by_a_count_of_before() -> None:
    usage = usage_after({"a": 1}, limits=LIMITS)
    ended = {name: turn.since for name, turn in usage.running.items()}
    again = usage.with_running("resp_a_0", RunningTurn(subject="a", since=NOW))
    assert again.without(ended) == again
    assert usage.without(ended).running == {}
    assert again.without({"resp_a_0": math.inf}).running == {}
