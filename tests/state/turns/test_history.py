"""Does a turn read the same of a long history as if it read all of it, with as few reads as needed?"""

from collections.abc import Sequence
from copy import replace
from random import Random

import pytest

import api.turns.history
import domain.turns.context_window
import domain.turns.history_index
import state.turns.history
from api.parsing.responses_request import request_from_openai
from api.turns.history import HistoryLoader, HistoryWindow
from domain.content.items import Item, Role
from domain.tokens.estimates import TokenEstimate, tokens_in
from domain.turns.context_window import Turn, WindowRoom, items_read, turns_to_leave_out
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER
from tests.isolation.watching import WatchedStore
from tests.state.turns.long_conversations import RisingClock, Talk

GIVEN = (Item(id="", role=Role.USER, text="and now?"),)
ROLES = (Role.USER, Role.USER, Role.USER, Role.ASSISTANT, Role.SYSTEM, Role.DEVELOPER)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (api.turns.history, state.turns.history, domain.turns.history_index):
        monkeypatch.setattr(module, "BLOCK", 3)


class Told:
    """Random talks, and all that was said in each, as it should be read."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - a test's seed
        self.clock = RisingClock(seed=seed) if seed % 3 else FakeClock(seed=seed)
        self.turns = TurnStore(MemoryStore(self.clock), self.clock, WebhookEndpoints())
        self.loader = HistoryLoader(self.turns, self.turns.conversations)

    async def talk(self) -> tuple[Talk, list[Turn]]:
        """Say up to 20 turns in a conversation, then a few after one of them, as a chain or a branch of it."""
        talk = Talk(turns=self.turns, clock=self.clock)
        said: list[Turn] = []
        if self.random.random() < 0.6:
            talk.conversation = (await self.turns.conversations.create(OWNER, metadata={})).id
        for _ in range(self.random.randint(0, 20)):
            said.append(await self.say(talk))
            if self.random.random() < 0.1:
                await self.branch(talk)
        if talk.conversation and talk.last and self.random.random() < 0.5:
            talk.conversation = ""
            said = said[: talk.last.history.reads_before + 1]
            said += [await self.say(talk) for _ in range(self.random.randint(1, 9))]
        return talk, said

    async def branch(self, talk: Talk) -> None:
        """Let somebody go on from the last turn whom this talk does not follow."""
        other = Talk(turns=self.turns, clock=self.clock, last=talk.last)
        for _ in range(self.random.randint(1, 5)):
            await self.say(other)

    async def say(self, talk: Talk) -> Turn:
        items = [
            Item(id="", role=self.random.choice(ROLES), text="word " * self.random.randint(1, 40))
            for _ in range(self.random.randint(1, 7))
        ]
        if talk.conversation and self.random.random() < 0.3:
            return await self.turns.conversations.add(OWNER, talk.conversation, items)
        response = await talk.say(items)
        return await self.turns.items(OWNER, response.input_items)

    async def forget_some(self, talk: Talk, said: Sequence[Turn]) -> list[Turn]:
        """Delete a few items of a conversation."""
        gone: set[str] = set()
        for item in [item for turn in said for item in turn]:
            if talk.conversation and self.random.random() < 0.1:
                await self.turns.conversations.delete_item(OWNER, talk.conversation, item.id)
                gone.add(item.id)
        return [tuple(item for item in turn if item.id not in gone) for turn in said]

    async def past(self, talk: Talk, room: int | None) -> HistoryWindow:
        body = {"input": "and now?"}
        if talk.conversation:
            body["conversation"] = talk.conversation
        elif talk.last:
            body["previous_response_id"] = talk.last.id
        limit = None if room is None else WindowRoom(tokens=room)
        return await self.loader.load(OWNER, request_from_openai(body), GIVEN, room=limit)


ASKED = request_from_openai({"input": "and now?"})


@pytest.mark.parametrize(
    "seed", [pytest.param(each, marks=[pytest.mark.slow] if each > 15 else []) for each in range(60)]
)
@pytest.mark.usefixtures("small_blocks")
async def test_the_model_reads_the_same_as_from_the_whole_history(seed: int) -> None:
    told = Told(seed)
    talk, said = await told.talk()
    said = await told.forget_some(talk, said)
    for room in (0, 60, 250, 700, 5000, None):
        past = await told.past(talk, room)
        limit = 10**9 if room is None else room
        left_out = turns_to_leave_out(said, GIVEN, instructions="", room=WindowRoom(tokens=limit))
        assert past.left_out(ASKED, GIVEN, room=WindowRoom(tokens=limit)) == left_out
        expected = items_read(said, GIVEN, left_out=left_out)
        assert past.items_with(GIVEN, left_out=left_out) == expected
        assert await read_by_a_turn(told, talk, past, left_out) == expected[: -len(GIVEN)]


async def read_by_a_turn(told: Told, talk: Talk, past: HistoryWindow, left_out: int) -> Turn:
    """Return what a turn's model would read before its own input, were it admitted with this past."""
    bare = await talk.following()
    response = replace(
        bare,
        id=talk.last.id if talk.last else "",
        history=replace(bare.history, index=past.index_with(()), left_out=left_out),
    )
    if not response.id and not talk.conversation:
        return ()
    return await told.turns.history(response if response.id else with_id(response, talk))


def with_id(response: Response, talk: Talk) -> Response:
    return replace(response, id=talk.conversation.replace("conv_", "resp_") + "0" * 24)


@pytest.mark.parametrize("seed", range(20))
async def test_a_conversation_of_an_earlier_release_is_read_whole(seed: int) -> None:
    """Its documents have no track, and its ids no order."""
    told = Told(seed * 3)
    talk, said = await told.talk()
    forget_tracks(told.turns)
    for room in (60, 700, None):
        past = await told.past(talk, room)
        assert (past.index, past.older) == (None, 0) if said else True
        left_out = past.left_out(ASKED, GIVEN, room=WindowRoom(tokens=10**9 if room is None else room))
        assert past.items_with(GIVEN, left_out=left_out) == items_read(said, GIVEN, left_out=left_out)


def forget_tracks(turns: TurnStore) -> None:
    """Take away from all that is stored what a release before did not write."""
    store = turns.store
    assert isinstance(store, MemoryStore)
    for rows in store.partitions.values():
        for name, row in rows.items():
            data = row.data
            for field in (b'"track":', b'"lasting":'):
                data = data.replace(field, b'"unknown":')
            rows[name] = replace(row, data=data)


@pytest.mark.parametrize("kind", [pytest.param("conversation", marks=pytest.mark.slow), "chain"])
async def test_a_turn_reads_as_little_of_a_long_conversation_as_of_a_short_one(kind: str) -> None:
    clock = RisingClock()
    store = WatchedStore(inner=MemoryStore(clock))
    turns = TurnStore(store, clock, WebhookEndpoints())
    talk = Talk(turns=turns, clock=clock)
    if kind == "conversation":
        talk.conversation = (await turns.conversations.create(OWNER, metadata={})).id
    loader = HistoryLoader(turns, turns.conversations)
    calls: list[int] = []
    for _ in range(3):
        await talk.grow(64 * 2)
        store.touched.clear()
        body = {"conversation": talk.conversation} if talk.conversation else {"previous_response_id": latest(talk)}
        past = await loader.load(
            OWNER, request_from_openai({"input": "x", **body}), GIVEN, room=WindowRoom(tokens=2000)
        )
        assert 20 < len(past.turns) <= 2 * 64
        calls.append(len(store.touched))
    assert calls == [calls[0]] * 3


def latest(talk: Talk) -> str:
    assert talk.last
    return talk.last.id


async def test_lasting_items_are_read_without_the_turns_between() -> None:
    """A developer's word at the beginning, and a few now and then, are read beside the last turns."""
    clock = RisingClock()
    store = WatchedStore(inner=MemoryStore(clock))
    turns = TurnStore(store, clock, WebhookEndpoints())
    talk = Talk(turns=turns, clock=clock)
    reads: list[int] = []
    for _ in range(3):
        await talk.say([Item(id="", role=Role.DEVELOPER, text="be brief")])
        await talk.grow(200)
        asked = await talk.following()
        track = asked.history.index
        assert track
        store.touched.clear()
        asked = replace(asked, id=latest(talk), history=replace(asked.history, left_out=track.depth - 10))
        read = await turns.history(asked)
        assert [item.role for item in read] == [Role.DEVELOPER] * len(track.lasting) + [Role.USER] * 10
        reads.append(len(store.touched))
    assert reads[2] <= reads[0] + 4


@pytest.mark.usefixtures("small_blocks")
async def test_each_turn_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a past of many small turns would hold up all others for as long as it is measured."""
    clock = RisingClock()
    turns = TurnStore(MemoryStore(clock), clock, WebhookEndpoints())
    talk = Talk(turns=turns, clock=clock)
    await talk.grow(90)
    measured: list[str] = []

    def counting(text: str) -> TokenEstimate:
        measured.append(text)
        return tokens_in(text)

    monkeypatch.setattr(domain.turns.context_window, "tokens_in", counting)
    asked = request_from_openai({"input": "x", "previous_response_id": latest(talk)})
    past = await HistoryLoader(turns, turns.conversations).load(OWNER, asked, GIVEN, room=WindowRoom(tokens=10**6))
    assert len(past.turns) == 90
    assert len(measured) <= 2 * 90
