"""Does at most one turn run in a conversation, and does each leave there what it should when it ends?"""

import asyncio
from copy import replace
from random import Random

import pytest

from clients.storage.port import Replace
from domain.errors import GanglionError, Invalid, Locked, NotFound
from domain.log.events import ResponseStatus
from domain.turns.conversations import Conversation
from domain.turns.history_index import HistoryIndex
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookEndpoints
from state.turns import conversation_lock
from state.turns.conversation_lock import (
    belongs_to_conversation,
    enter_conversation,
    lasting_items,
    lock_operations,
    next_in_line,
    unlock_operations,
)
from state.turns.responses import TurnStore
from tests.checks import every
from tests.fakes.stores import CrashError, Faults, FlakyStore
from tests.fakes.worlds import OWNER
from tests.state.turns.places import CREATED, STRANGER, Place


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.mark.parametrize("status", [ResponseStatus.CANCELLED, ResponseStatus.FAILED])
async def test_a_turn_without_an_answer_leaves_the_conversation_as_it_was(place: Place, status: ResponseStatus) -> None:
    conversation = await place.conversation("before")
    await place.answered(conversation, "asked", "half", status)
    assert await place.texts(conversation) == ["before"]
    await place.answered(conversation, "again", "whole")
    assert await place.texts(conversation) == ["before", "again", "whole"]


async def test_one_of_many_parallel_turns_locks_the_conversation(place: Place) -> None:
    conversation = await place.conversation("before")
    turns = [await place.asked(conversation, f"turn {number}") for number in range(10)]
    outcomes = await asyncio.gather(
        *(place.turns.admit(response, (item,), CREATED) for response, item in turns), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert len(refused) == 9
    assert every(isinstance(each, Invalid) and each.code == "conversation_locked" for each in refused)
    admitted = [response for (response, _), outcome in zip(turns, outcomes, strict=True) if response == outcome]
    assert (await place.conversations.read(OWNER, conversation.id)).running == admitted[0].id


async def test_a_repeated_admission_is_not_rejected_by_its_own_lock(place: Place) -> None:
    conversation = await place.conversation()
    response, item = await place.asked(conversation, "asked")
    await place.turns.admit(response, (item,), CREATED)
    await place.turns.admit(response, (item,), CREATED)
    with pytest.raises(Invalid, match="still running"):
        await place.admitted(conversation, "another")


async def test_a_turn_that_read_an_outdated_history_is_rejected(place: Place) -> None:
    conversation = await place.conversation()
    response, item = await place.asked(conversation, "asked")
    await place.answered(conversation, "first", "one")
    with pytest.raises(Invalid):
        await place.turns.admit(response, (item,), CREATED)


async def test_a_turn_in_another_owners_conversation_is_not_admitted(place: Place) -> None:
    conversation = await place.conversation()
    response, item = await place.asked(conversation, "asked")
    stranger = replace(response, owner=STRANGER)
    with pytest.raises(NotFound):
        await place.turns.admit(stranger, (item,), CREATED)
    with pytest.raises(NotFound):
        await place.turns.read(STRANGER, response.id)


@pytest.mark.parametrize("seed", range(150))
async def test_crashes_and_lost_answers_leave_the_conversation_free_and_each_turn_in_it_once(seed: int) -> None:
    place = Place()
    conversation = await place.conversation("before")
    response, item = await place.asked(conversation, "asked")
    for life in range(60):
        faults = Faults(rate=0.2 if life < 50 else 0.0)
        turns = TurnStore(FlakyStore(place.store, Random(seed * 100 + life), faults), place.clock, WebhookEndpoints())  # noqa: S311 - a seed
        try:
            await turns.admit(response, (item,), CREATED)
            await turns.begin(OWNER, response.id, execution="run")
            await turns.finish(OWNER, response.id, status=ResponseStatus.COMPLETED)
        except (CrashError, GanglionError):
            continue
        break
    assert await place.texts(conversation) == ["before", "asked"]
    assert (await place.conversations.read(OWNER, conversation.id)).running is None


def waiting_for(response: Response, other: str) -> Response:
    """Return the response as one that waits until another has ended."""
    return replace(response, history=replace(response.history, waits_for=other))


async def queued(place: Place, conversation: Conversation, text: str, *, after: str) -> Response:
    """Admit a turn that waits for another one."""
    response, item = await place.asked(conversation, text)
    waiting = waiting_for(response, after)
    await place.turns.admit(waiting, (item,), CREATED)
    return waiting


async def current(place: Place, conversation: Conversation) -> Conversation:
    return await place.conversations.read(OWNER, conversation.id)


async def test_turns_that_wait_stand_in_line_and_the_first_of_them_may_begin(place: Place) -> None:
    conversation = await place.conversation("before")
    running = await place.admitted(conversation, "one")
    second = await queued(place, conversation, "two", after=running.id)
    third = await queued(place, conversation, "three", after=second.id)
    assert (await current(place, conversation)).waiting == (second.id, third.id)
    assert await next_in_line(place.store, running) == (), "the conversation is still locked"
    ended = await place.turns.finish(OWNER, running.id, status=ResponseStatus.COMPLETED)
    assert await next_in_line(place.store, ended) == (second.id,)


async def test_a_turn_of_the_line_enters_with_what_it_reads_and_before_no_other(place: Place) -> None:
    conversation = await place.conversation("before")
    running = await place.admitted(conversation, "one")
    second = await queued(place, conversation, "two", after=running.id)
    third = await queued(place, conversation, "three", after=second.id)
    await place.turns.finish(OWNER, running.id, status=ResponseStatus.COMPLETED)
    entry = (await current(place, conversation)).next_entry
    ready = {
        each.id: replace(each, history=replace(each.history, waits_for=None, reads_before=entry))
        for each in (second, third)
    }
    found = {each: await place.turns.document(OWNER, each) for each in ready}
    with pytest.raises(Locked):
        await enter_conversation(place.store, found[third.id], ready[third.id])
    changed = replace(found[second.id], etag="0")
    assert not await enter_conversation(place.store, changed, ready[second.id])
    assert await enter_conversation(place.store, found[second.id], ready[second.id])
    locked = await current(place, conversation)
    assert (locked.running, locked.waiting) == (second.id, (third.id,))


async def test_a_turn_that_ends_while_it_waits_leaves_the_line_alone(place: Place) -> None:
    conversation = await place.conversation("before")
    running = await place.admitted(conversation, "one")
    second = await queued(place, conversation, "two", after=running.id)
    await place.turns.finish(OWNER, second.id, status=ResponseStatus.CANCELLED)
    left = await current(place, conversation)
    assert (left.running, left.waiting) == (running.id, ())
    assert await place.texts(conversation) == ["before"]


async def test_whoever_is_rejected_learns_which_turn_is_the_last_before_it(place: Place) -> None:
    conversation = await place.conversation()
    running = await place.admitted(conversation, "one")
    response, _ = await place.asked(conversation, "another")
    with pytest.raises(Locked) as caught:
        await lock_operations(place.store, response)
    assert caught.value.running == running.id
    second = await queued(place, conversation, "two", after=running.id)
    with pytest.raises(Locked) as caught:
        await lock_operations(place.store, response)
    assert caught.value.running == second.id


async def test_a_lock_taints_a_conversation_for_good(place: Place) -> None:
    conversation = await place.conversation()
    response, _ = await place.asked(conversation, "one")
    config = replace(response.options.tool_config, is_tainted=True)
    tainted = replace(response, options=replace(response.options, tool_config=config))
    [lock] = await lock_operations(place.store, tainted)
    assert isinstance(lock, Replace)
    assert (lock.body["tainted"], lock.body["running"]) == (True, response.id)
    [clean] = await lock_operations(place.store, response)
    assert isinstance(clean, Replace)
    assert "tainted" not in clean.body


async def test_only_the_turn_that_has_the_lock_releases_it(place: Place) -> None:
    conversation = await place.conversation()
    await place.admitted(conversation, "one")
    other, _ = await place.asked(conversation, "another")
    assert await unlock_operations(place.store, other) == ()
    alone = replace(other, history=replace(other.history, conversation=None))
    assert await unlock_operations(place.store, alone) == ()
    assert await lock_operations(place.store, alone) == ()


async def followed(place: Place) -> tuple[Response, Response]:
    """Return a running turn outside of a conversation, and one of its thread that is to wait for it."""
    response, item = await place.asked(await place.conversation(), "one")
    running = replace(response, history=replace(response.history, conversation=None))
    await place.turns.admit(running, (item,), CREATED)
    follower = replace(running, id=f"{running.id[:-1]}{'0' if running.id[-1] != '0' else '1'}")
    return running, waiting_for(follower, running.id)


async def test_a_turn_outside_of_a_conversation_is_woken_by_the_turn_before_it(place: Place) -> None:
    running, follower = await followed(place)
    [follow] = await lock_operations(place.store, follower)
    assert isinstance(follow, Replace)
    assert follow.id == running.id
    await place.store.commit(conversation_lock.response_key(OWNER, running.id), (follow,))
    ended = await place.turns.finish(OWNER, running.id, status=ResponseStatus.COMPLETED)
    assert await next_in_line(place.store, ended) == (follower.id,)
    assert await lock_operations(place.store, follower) == (), "who has ended wakes nobody"


async def test_a_turn_looks_for_itself_where_no_other_can_wake_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, follower = await followed(place)
    elsewhere = running.id.replace(running.thread, "f" * 24)
    for other in (elsewhere, f"{running.id[:-1]}x"):
        assert await lock_operations(place.store, waiting_for(follower, other)) == ()
    monkeypatch.setattr(conversation_lock, "MOST_FOLLOWERS", 0)
    assert await lock_operations(place.store, follower) == ()


async def test_only_an_answer_that_is_stored_belongs_to_its_conversation(place: Place) -> None:
    conversation = await place.conversation()
    stored, _ = await place.asked(conversation, "one")
    unstored, _ = await place.asked(conversation, "two", store=False)
    outside = replace(stored, history=replace(stored.history, conversation=None))
    assert [
        belongs_to_conversation(each.ended(status=status, at=1.0, output_items=()))
        for each in (stored, unstored, outside)
        for status in (ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE, ResponseStatus.FAILED)
    ] == [True, True, False, False, False, False, False, False, False]


async def test_the_lasting_items_of_a_turn_are_its_own_input(place: Place) -> None:
    response, item = await place.asked(await place.conversation(), "one")
    assert lasting_items(response) is None, "an earlier release stored no index"
    index = HistoryIndex(depth=1, lasting=("msg_earlier", item.id))
    assert lasting_items(replace(response, history=replace(response.history, index=index))) == (item.id,)
