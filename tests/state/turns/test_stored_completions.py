"""What becomes of a turn whose metadata change while it runs?"""

from copy import replace

import pytest

from domain.log.events import EventKind, LogEvent, ResponseStatus
from domain.turns.response import ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.responses import TurnStore
from state.turns.stored_completions import StoredCompletions
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER
from tests.state.turns.test_responses import response

ADMITTED = {"residency": "eu", "about": "sky"}


@pytest.mark.parametrize(
    ("status", "kept"),
    [
        (ResponseStatus.QUEUED, {"residency": "eu", "about": "light"}),
        (ResponseStatus.IN_PROGRESS, {"residency": "eu", "about": "light"}),
        (ResponseStatus.COMPLETED, {"about": "light"}),
    ],
)
async def test_a_turn_that_runs_keeps_where_its_data_may_go(status: ResponseStatus, kept: dict[str, str]) -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    turns = TurnStore(store, clock, WebhookEndpoints())
    chats = StoredCompletions(store, turns)
    turn = response()
    turn = replace(
        turn,
        options=ResponseOptions(model=turn.model, metadata=ADMITTED),
        progress=replace(turn.progress, status=status),
    )
    await turns.admit(turn, (), (LogEvent(kind=EventKind.CREATED),))
    await chats.add(turn)
    await chats.update_metadata(OWNER, turn.id, metadata={"about": "light"})
    assert (await chats.read(OWNER, turn.id)).options.metadata == kept
