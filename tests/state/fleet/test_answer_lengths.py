"""How often does a process write the lengths of the answers of a tenant?"""

import asyncio
from random import Random

from benches.money import GPU
from domain.identity.owners import Owner
from domain.log.events import TokenUsage
from domain.routing.answer_lengths import ENOUGH_OF_OWNER
from state.fleet.answer_lengths import TENANT_S, LearnedAnswerLengths
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER

USAGE = TokenUsage(input_tokens=10, output_tokens=40)


async def test_answers_of_many_owners_that_end_together_are_written_to_their_tenant_together() -> None:
    clock = FakeClock()
    store = FlakyStore(MemoryStore(clock), Random(0))  # noqa: S311 - a test must repeat
    lengths = LearnedAnswerLengths(store, clock)
    owners = [Owner(tenant=OWNER.tenant, subject=f"user:{number}") for number in range(30)]
    backend = GPU
    await asyncio.gather(*(lengths.record(owner, "thread", backend, USAGE) for owner in owners))
    clock.advance(TENANT_S)
    await lengths.record(OWNER, "thread", backend, USAGE)
    commits = sum(call.name == "commit" for call in store.calls)
    assert len(owners) < commits <= len(owners) + ENOUGH_OF_OWNER
    found = await lengths.forecast(Owner(tenant=OWNER.tenant, subject="user:new"), "other")
    assert found.answers[backend.model].mean == USAGE.output_tokens
    assert lengths.unwritten[OWNER.tenant] == []
