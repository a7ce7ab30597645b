"""Is there KV memory for one more request at a backend?

An engine keeps the keys and values of every token that a running request has read or written, in blocks. It takes no
further request without free blocks for its prompt, and where the blocks run out while answers grow it throws requests
out and computes them again. So each attempt claims what it may come to need, and the claims never exceed the memory.

The cached beginning of a conversation takes as much as the rest of it: an engine counts the blocks of its prompt cache
as free until a request uses them again (vLLM, `SingleTypeKVCacheManager.get_num_blocks_to_allocate`).
"""

import math
from collections.abc import Mapping, Sequence
from copy import replace
from heapq import nlargest
from typing import Any, Final, NamedTuple

from msgspec import Struct

from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend, BackendLimits
from domain.fleet.instances.inferred import by_number, grows_itself, inferred
from domain.fleet.instances.places import instances_serving, instances_up
from domain.fleet.load import NO_QUEUE_PLACES, Load, QueuePlace

BLOCK_TOKENS: Final = 16
"""Memory is taken in blocks of so many tokens: vLLM's default `block_size`."""


def claim_of(tokens: int) -> int:
    """Return the tokens of memory that a request takes which reads and writes so many: whole blocks."""
    return -(-tokens // BLOCK_TOKENS) * BLOCK_TOKENS


def why_too_large(limits: BackendLimits, tokens: int) -> str | None:
    """Return why no instance can ever serve a request of so many tokens; None where one can."""
    claim, most = claim_of(tokens), limits.kv_tokens
    if most is None or claim <= most:
        return None
    return f"the turn needs {claim:,} tokens of KV memory; an instance has {most:,}"


class KvMemory(Struct, frozen=True, kw_only=True):
    """The tokens of KV memory of the instances that run, and those that running attempts claim.

    Which instance gets a request is the provider's choice. It is expected to be one with the fewest requests, so no
    more than an even share of the others is there, rounded down: they may be the largest ones. `claims` are those of
    each attempt, where there are several `instances`.
    """

    tokens: int
    claimed: int = 0
    instances: int = 1
    claims: tuple[int, ...] = ()

    @property
    def of_instance(self) -> int:
        return self.tokens // self.instances

    @property
    def free(self) -> int:
        return max(0, self.tokens - self.claimed)

    def beside(self, ahead: Sequence[int] = ()) -> int:
        """Return the tokens that may be claimed at the instance that gets the next request, after those ahead of it."""
        if self.instances == 1:
            return self.claimed + sum(ahead)
        others = (*self.claims, *ahead)
        return sum(nlargest(len(others) // self.instances, others))

    def free_beside(self, ahead: Sequence[int] = ()) -> int:
        return max(0, self.of_instance - self.beside(ahead))

    def has_room(self, claim: int, *, ahead: Sequence[int] = (), beside_others: bool = False) -> bool:
        """Return whether a request may run, after the claims of those ahead of it.

        With `beside_others` a quarter stays free for them. A request that would be alone always may.
        """
        beside, kept = self.beside(ahead), self.of_instance // 4 if beside_others else 0
        return not beside or beside + claim <= self.of_instance - kept

    def rounds(self, claim: int, *, ahead: Sequence[int] = ()) -> float:
        """Return how many rounds of requests have to end before there is room: they free their memory one by one."""
        return max(0.0, (self.beside(ahead) + claim - self.of_instance) / self.of_instance)

    def to_document(self) -> dict[str, Any]:
        return {"tokens": self.tokens, "claimed": self.claimed}


def share_of(backend: Backend) -> int:
    """Return what a request of unknown size claims: an even share of an instance."""
    return (backend.limits.kv_tokens or 0) // backend.limits.concurrency


def instances_to_fill(backend: Backend, state: BackendState, kv_tokens: int, now: float) -> int:
    """Return how many instances have memory for requests of now. One that the product counts has, once it must be up.

    A provider starts one more only where it sees more requests than the others have places for. So turns in line are
    sent although the others have no memory for them, where as many are sent as it takes, and one more is worth its
    price.
    """
    if not grows_itself(backend):
        return 1 + sum(each.is_up(now, state.start_times.p99_s) for each in state.warmth.further)
    load = state.load
    running, queued = load.running(now), load.queued(now)
    begun = 1 + sum(each.is_set for each in inferred(backend, state, now))
    least = max(begun, instances_serving(backend, state, running + 1, now))
    if not queued:
        return least
    in_line = sum(claims_ahead(load, backend, "", math.inf, now))
    claimed = load.claimed(now, unknown=share_of(backend)) + in_line
    return max(least, min(instances_up(backend, state, now), seen_for(backend, running + queued, claimed, kv_tokens)))


def seen_for(backend: Backend, requests: int, claimed: int, kv_tokens: int) -> int:
    """Return how many instances a provider starts for so many requests, if those are sent that have memory."""
    concurrency, wanted = backend.limits.concurrency, by_number(backend, requests)
    fitting = kv_tokens * requests / max(1, claimed)
    return min(wanted, int((concurrency - 1) / (concurrency - fitting))) if fitting < concurrency else wanted


def memory_of(backend: Backend, state: BackendState, now: float) -> KvMemory | None:
    """Return the memory of a backend and what is claimed of it; None where it is not known.

    A provider starts further instances for requests beyond the concurrency of the others, never for their size: see
    `instances_to_fill`.
    """
    if backend.limits.kv_tokens is None:
        return None
    instances = instances_to_fill(backend, state, backend.limits.kv_tokens, now)
    claims = state.load.each_claim(now, unknown=share_of(backend))
    return KvMemory(
        tokens=instances * backend.limits.kv_tokens,
        claimed=sum(claims),
        instances=instances,
        claims=tuple(claims) if instances > 1 else (),
    )


def instances_needed(backend: Backend, requests: int, claimed: int) -> int:
    """Return how many instances have places for so many requests, and KV memory for all that they claim."""
    limits = backend.limits
    by_places = -(-requests // limits.concurrency)
    return by_places if limits.kv_tokens is None else max(by_places, -(-claimed // limits.kv_tokens))


def instances_to_start(backend: Backend, requests: int, claimed: int) -> int:
    """Return the same as far as the product, or the provider for the requests that it sees, starts as many."""
    if backend.limits.kv_tokens is None or not grows_itself(backend):
        return instances_needed(backend, requests, claimed)
    return max(1, seen_for(backend, requests, claimed, backend.limits.kv_tokens))


def instances_in_use(backend: Backend, load: Load, now: float) -> int:
    """Return how many instances are needed for what runs."""
    return instances_needed(backend, load.running(now), load.claimed(now, unknown=share_of(backend)))


class AttemptStart(NamedTuple):
    """Whether there was memory for an attempt, and how many others ran beside it; None where that is not known."""

    has_memory: bool
    beside: int | None


UNKNOWN: Final = AttemptStart(has_memory=True, beside=None)


def start_of(state: BackendState, backend: Backend, attempt: str, *, claim: int, now: float) -> AttemptStart:
    """Return whether an attempt may start. One that runs already, in a process that died, gives its own claim back."""
    others = replace(state, load=state.load.without_attempt(attempt))
    memory = memory_of(backend, others, now)
    return AttemptStart(not claim or memory is None or memory.has_room(claim), others.load.running(now))


def with_memory(line: Mapping[str, QueuePlace], memory: KvMemory | None, backend: Backend) -> Mapping[str, QueuePlace]:
    """Return the first turns of a line that there is memory for: none passes a larger one before it."""
    if memory is None:
        return line
    taken, ahead = dict(NO_QUEUE_PLACES), list[int]()
    for name, place in line.items():
        claim = place.claim or share_of(backend)
        if not memory.has_room(claim, ahead=ahead):
            break
        taken[name] = place
        ahead.append(claim)
    return taken


def claims_ahead(load: Load, backend: Backend, response: str, admitted_at: float, now: float) -> Sequence[int]:
    """Return what each turn claims that was admitted before this one and is in line."""
    unknown = share_of(backend)
    return [place.claim or unknown for place in load.places_before(response, admitted_at, now)]
