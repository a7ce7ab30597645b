"""Does the document of the tools' durations end no call, whatever is in it and whatever the store says?"""

from collections.abc import Sequence

import pytest

from clients.storage.port import Create, DocumentKey, Operation
from domain.errors import Terminal
from state.tools.durations import DURATIONS_ID, TOOLS, LearnedToolDurations
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore


class RefusingStore(MemoryStore):
    """A store that is full."""

    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        raise Terminal("the store rejected the request")


@pytest.mark.parametrize("tools", [None, [], {"shop/a": None}, {"shop/a": ["long"]}])
async def test_a_damaged_document_is_written_anew(tools: object) -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    await store.commit(TOOLS, (Create(id=DURATIONS_ID, body={"kind": "tool_durations", "v": 1, "tools": tools}),))
    durations = LearnedToolDurations(store, clock)
    durations.note("shop", "a", 60.0)
    await durations.write()
    assert (await durations.read()).tools == {"shop/a": (60.0,)}


async def test_a_store_that_refuses_the_durations_ends_no_call() -> None:
    clock = FakeClock()
    durations = LearnedToolDurations(RefusingStore(clock), clock)
    durations.note("shop", "a", 60.0)
    await durations.write()
    assert not durations.unwritten
