"""Does an answer of more than one commit get into a conversation once, wherever the process crashes?"""

from random import Random

import pytest

from clients.storage.port import BYTES_LIMIT
from domain.content.items import Item, ItemKind, Role
from domain.turns.conversations import Conversation
from state.pipelines.conversation_sink import ConversationSink
from state.turns.conversations import ConversationStore
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER

LARGE = tuple(
    Item(id=f"msg_{number}", kind=ItemKind.MESSAGE, role=Role.ASSISTANT, text=letter * (BYTES_LIMIT // 2))
    for number, letter in enumerate("abc")
)
CALLS = 4
"""Two reads, a commit of what the last one has no room for, and that one."""


async def added(store: MemoryStore, clock: FakeClock, made: Conversation, faults: dict[int, Fault]) -> FlakyStore:
    """Deliver an answer in a process of its own."""
    flaky = FlakyStore(store, Random(0), Faults(at=faults))  # noqa: S311 - a test's seed
    sink = ConversationSink(ConversationStore(flaky, clock))
    if faults:
        with pytest.raises(CrashError):
            await sink.add(OWNER, made.id, LARGE, key="resp_1")
    else:
        await sink.add(OWNER, made.id, LARGE, key="resp_1")
    return flaky


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
@pytest.mark.parametrize("call", range(CALLS))
async def test_a_crash_at_any_call_loses_and_doubles_nothing(call: int, fault: Fault) -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    conversations = ConversationStore(store, clock)
    made = await conversations.create(OWNER, metadata={})
    await added(store, clock, made, {call: fault})
    for _ in range(2):
        await added(store, clock, made, {})
    page = await conversations.items(OWNER, made.id, order="asc")
    assert [each.text for each in page.items] == [each.text for each in LARGE]


async def test_the_answer_takes_so_many_calls() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    made = await ConversationStore(store, clock).create(OWNER, metadata={})
    assert len((await added(store, clock, made, {})).calls) == CALLS
