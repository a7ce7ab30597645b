"""Is KV memory never given away twice, and does no turn pass a larger one that came before it?"""

from copy import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.catalog import Backend
from domain.fleet.instances.further import FurtherInstance
from domain.fleet.instances.memory import (
    BLOCK_TOKENS,
    KvMemory,
    claim_of,
    claims_ahead,
    memory_of,
    share_of,
    start_of,
    why_too_large,
    with_memory,
)
from domain.fleet.instances.places import instances_serving
from domain.fleet.instances.several import with_further
from domain.fleet.load import Load, QueuePlace
from domain.fleet.warmth import Warmth
from tests.checks import every
from tests.domain.fleets import SERVERLESS, backend, limits

NOW = 1_000_000.0
TOKENS = 1600
GPU = backend("gpu", cold=SERVERLESS, bounds=replace(limits(), kv_tokens=TOKENS))
GROWN = replace(GPU, max_instances=3)


def running(*claims: int, of: Backend = GPU) -> BackendState:
    load = Load()
    for number, claim in enumerate(claims):
        load = load.with_attempt(f"attempt_{number}", until=NOW + 60, now=NOW, claim=claim)
    return replace(initial_state(of), load=load, warmth=Warmth(warm_until=NOW + 600))


def paid(state: BackendState) -> BackendState:
    """Let two further instances be worth their price."""
    return with_further(state, (FurtherInstance(by="other", since=NOW),) * 2)


def in_line(*claims: int) -> dict[str, QueuePlace]:
    return {f"resp_{number}": QueuePlace(NOW, NOW + 60, 1, claim) for number, claim in enumerate(claims)}


@pytest.mark.parametrize(("tokens", "claim"), [(0, 0), (1, 16), (16, 16), (17, 32), (1600, 1600)])
def test_memory_is_claimed_in_whole_blocks(tokens: int, claim: int) -> None:
    """As vLLM allocates it: `cdiv(num_tokens, block_size)` blocks of 16 tokens."""
    assert claim_of(tokens) == claim
    assert claim % BLOCK_TOKENS == 0


@pytest.mark.parametrize(("tokens", "fits"), [(1600, True), (1601, False)])
def test_what_is_larger_than_an_instance_never_fits(tokens: int, *, fits: bool) -> None:
    found = why_too_large(GPU.limits, tokens)
    assert (found is None) is fits
    assert fits or found == "the turn needs 1,616 tokens of KV memory; an instance has 1,600"
    assert why_too_large(limits(), 10**9) is None


def test_a_backend_of_unknown_memory_has_none() -> None:
    plain = backend("plain")
    assert memory_of(plain, initial_state(plain), NOW) is None
    assert start_of(running(1600), plain, "attempt_9", claim=1600, now=NOW).has_memory


def test_an_attempt_without_a_claim_counts_as_an_even_share() -> None:
    """An attempt of an earlier release says nothing of its size."""
    assert share_of(GPU) == TOKENS // GPU.limits.concurrency
    memory = memory_of(GPU, running(0, 160), NOW)
    assert memory == KvMemory(tokens=TOKENS, claimed=400 + 160)


def test_an_attempt_that_must_have_ended_claims_nothing() -> None:
    late = memory_of(GPU, running(1600), NOW + 61)
    assert late == KvMemory(tokens=TOKENS)


@pytest.mark.parametrize(("requests", "instances"), [(0, 1), (4, 1), (5, 2), (8, 2), (9, 3), (12, 3)])
def test_a_provider_starts_instances_for_requests_and_not_for_their_size(requests: int, instances: int) -> None:
    memory = memory_of(GROWN, running(*[16] * requests, of=GROWN), NOW)
    assert memory
    assert (memory.tokens, memory.claimed) == (instances * TOKENS, 16 * requests)


@pytest.mark.parametrize(
    ("claim", "running_now", "queued", "instances"),
    [
        (512, 3, 1, 1),
        (512, 3, 2, 2),
        (512, 3, 6, 3),
        (800, 2, 9, 1),
        (400, 4, 1, 2),
    ],
)
def test_a_provider_sees_the_turns_in_line_that_need_one_more_instance(
    claim: int, running_now: int, queued: int, instances: int
) -> None:
    """An instance has four places, and memory for three requests of 512 tokens, which four on two instances pass.

    Of two requests of 800 on each instance no fifth would be sent, so that none is started. Nor is one that is not
    worth its price.
    """
    state = running(*[claim] * running_now, of=GROWN)
    asked = replace(state, load=replace(state.load, queue_places=in_line(*[claim] * queued)))
    grown = memory_of(GROWN, paid(asked), NOW)
    assert grown
    assert (grown.tokens, grown.claimed) == (instances * TOKENS, claim * running_now)
    assert memory_of(GROWN, asked, NOW) == KvMemory(tokens=TOKENS, claimed=claim * running_now)
    alone = replace(GROWN, max_instances=1)
    assert memory_of(alone, asked, NOW) == KvMemory(tokens=TOKENS, claimed=claim * running_now)


@given(st.integers(1, 100), st.integers(1, 40), st.integers(0, 60))
def test_what_is_sent_for_the_size_of_requests_makes_the_provider_start_instances(
    blocks: int, running_now: int, queued: int
) -> None:
    claim = 16 * blocks
    state = paid(running(*[claim] * running_now, of=GROWN))
    asked = replace(state, load=replace(state.load, queue_places=in_line(*[claim] * queued)))
    memory = memory_of(GROWN, asked, NOW)
    assert memory
    instances, seen = memory.tokens // TOKENS, instances_serving(GROWN, state, running_now + 1, NOW)
    sent = running_now + len(with_memory(in_line(*[claim] * queued), memory, GROWN))
    assert instances == seen or sent > (instances - 1) * GROWN.limits.concurrency


def test_a_request_that_would_be_alone_may_always_run() -> None:
    assert KvMemory(tokens=TOKENS).has_room(TOKENS, beside_others=True)
    assert not KvMemory(tokens=TOKENS, claimed=16).has_room(TOKENS)
    assert not KvMemory(tokens=TOKENS).has_room(TOKENS, ahead=(16,))


def test_a_request_that_nobody_waits_for_leaves_a_quarter_free() -> None:
    memory = KvMemory(tokens=TOKENS, claimed=800)
    assert memory.has_room(400, beside_others=True)
    assert not memory.has_room(416, beside_others=True)
    assert memory.has_room(800)


def test_an_attempt_that_a_process_has_lost_gives_its_own_claim_back() -> None:
    again = start_of(running(1600), GPU, "attempt_0", claim=1600, now=NOW)
    assert (again.has_memory, again.beside) == (True, 0)
    other = start_of(running(1600), GPU, "attempt_9", claim=16, now=NOW)
    assert (other.has_memory, other.beside) == (False, 1)


def test_a_small_turn_does_not_pass_a_large_one_before_it() -> None:
    memory = memory_of(GPU, running(800), NOW)
    assert list(with_memory(in_line(400, 400, 16), memory, GPU)) == ["resp_0", "resp_1"]
    assert list(with_memory(in_line(1200, 16), memory, GPU)) == []
    assert list(with_memory(in_line(0, 0, 16), memory, GPU)) == ["resp_0", "resp_1"]
    assert list(with_memory(in_line(1200, 16), None, GPU)) == ["resp_0", "resp_1"]


def test_the_claims_of_those_before_a_turn_are_added() -> None:
    load = Load(queue_places={**in_line(160, 0), "resp_late": QueuePlace(NOW + 1, NOW + 60, 1, 320)})
    assert list(claims_ahead(load, GPU, "resp_late", NOW + 1, NOW)) == [160, 400]
    assert list(claims_ahead(load, GPU, "resp_zero", NOW - 1, NOW)) == []


@given(claimed=st.integers(0, TOKENS), ahead=st.integers(0, 3200), claim=st.integers(1, TOKENS))
def test_what_has_room_never_exceeds_the_memory_and_waits_for_no_round(claimed: int, ahead: int, claim: int) -> None:
    memory = KvMemory(tokens=TOKENS, claimed=claimed)
    has_room = memory.has_room(claim, ahead=[ahead])
    assert has_room is (claimed + ahead + claim <= TOKENS)
    assert has_room is (memory.rounds(claim, ahead=[ahead]) == 0.0)
    assert memory.rounds(claim, ahead=[ahead]) <= memory.rounds(claim + 16, ahead=[ahead + 16])
    assert memory.free == TOKENS - claimed


def test_a_request_that_fits_two_instances_together_and_none_of_them_has_no_room() -> None:
    both = KvMemory(tokens=2 * TOKENS, claimed=2000, instances=2, claims=(1000, 1000))
    assert not both.has_room(800)
    assert both.rounds(800) == 200 / TOKENS
    assert (both.has_room(600), both.free_beside(), both.free_beside([16])) == (True, 600, 600)
    assert not both.has_room(600, ahead=[608, 16])


requests = st.lists(st.tuples(st.integers(1, 100), st.integers(0, 3)), min_size=1, max_size=40)


@given(requests, st.integers(2, 4))
def test_no_instance_with_the_fewest_requests_gets_more_than_its_memory(
    arrivals: list[tuple[int, int]], instances: int
) -> None:
    """Requests arrive in any order, and before each some of those that run end: the last ones of one instance."""
    machines: list[list[int]] = [[] for _ in range(instances)]
    for blocks, ends in arrivals:
        busiest = max(machines, key=len)
        del busiest[len(busiest) - min(ends, len(busiest)) :]
        claims = tuple(claim for each in machines for claim in each)
        memory = KvMemory(tokens=instances * TOKENS, claimed=sum(claims), instances=instances, claims=claims)
        if memory.has_room(16 * blocks):
            min(machines, key=len).append(16 * blocks)
        assert every(sum(each) <= TOKENS for each in machines)
