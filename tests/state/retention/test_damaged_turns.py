"""Are turns and conversations deleted of which a stored document is damaged?"""

from copy import replace

import pytest

from clients.storage.keys import slot_prefix, turns_key
from domain.errors import DamagedRecord, NotFound
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.turns.conversations import Conversation
from domain.turns.response import Response
from state.retention.deletion import Retention
from state.turns.conversation_lock import next_in_line
from tests.fakes.worlds import OWNER
from tests.state.turns.places import Place

EMPTY = b'"events":[]'


class Scene(Place):
    """A turn that runs in a conversation, another that waits there, and documents that can be damaged."""

    def __init__(self) -> None:
        super().__init__()
        self.retention = Retention(self.store, self.turns, self.clock)

    async def started(self) -> tuple[Conversation, Response, Response]:
        conversation = await self.conversation("before")
        running = await self.admitted(conversation, "heron")
        assert await self.turns.begin(OWNER, running.id, execution="run")
        response, item = await self.asked(conversation, "egret")
        waiting = replace(response, history=replace(response.history, waits_for=running.id))
        await self.turns.admit(waiting, (item,), ())
        return conversation, running, waiting

    def damage(self, owner: Owner, thread: str, prefix: str) -> None:
        """Overwrite the documents of a thread whose id has a prefix."""
        key = turns_key(owner, thread)
        found = {name: row for name, row in self.store.rows(key).items() if name.startswith(prefix)}
        assert found
        for name, row in found.items():
            self.store.put(key, name, replace(row, data=b"no JSON"))

    def left(self, thread: str) -> list[str]:
        """Return what is left of a thread, without the slots, which stay for a day and are empty."""
        rows = self.store.rows(turns_key(OWNER, thread))
        return [name for name, row in rows.items() if not (name.startswith("slot_") and EMPTY in row.data)]


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.mark.parametrize("prefix", ["slot_", "conv_"])
async def test_a_running_turn_is_cancelled_and_deleted_whose_log_or_conversation_is_damaged(
    scene: Scene, prefix: str
) -> None:
    _, running, waiting = await scene.started()
    scene.damage(OWNER, running.thread, prefix if prefix == "conv_" else slot_prefix(running.id))
    ended = await scene.retention.delete_response(OWNER, running.id)
    assert (ended.id, ended.status) == (running.id, ResponseStatus.CANCELLED)
    with pytest.raises(NotFound):
        await scene.turns.read(OWNER, running.id)
    assert not any(running.id in name or name in running.input_items for name in scene.left(running.thread))
    assert await next_in_line(scene.store, ended) == ((waiting.id,) if prefix == "slot_" else ())


async def test_the_conversation_of_a_turn_with_a_damaged_log_is_free_when_the_turn_is_deleted(scene: Scene) -> None:
    conversation, running, waiting = await scene.started()
    scene.damage(OWNER, running.thread, slot_prefix(running.id))
    await scene.retention.delete_response(OWNER, running.id)
    left = await scene.conversations.read(OWNER, conversation.id)
    assert (left.running, left.waiting) == (None, (waiting.id,))


async def test_a_part_of_an_item_that_is_damaged_keeps_no_turn_from_being_deleted(scene: Scene) -> None:
    large = "heron " * 60_000
    conversation = await scene.conversation("before")
    running = await scene.admitted(conversation, large)
    scene.damage(OWNER, running.thread, "part_")
    assert (await scene.retention.delete_response(OWNER, running.id)).status is ResponseStatus.CANCELLED
    assert not any(name.startswith("part_") for name in scene.left(running.thread))


async def test_a_response_that_is_damaged_itself_is_not_deleted_and_the_error_says_what_to_do(scene: Scene) -> None:
    conversation, running, _ = await scene.started()
    scene.damage(OWNER, running.thread, running.id)
    with pytest.raises(DamagedRecord, match="Delete its conversation, or erase its owner"):
        await scene.retention.delete_response(OWNER, running.id)
    await scene.retention.delete_conversation(OWNER, conversation.id)
    assert scene.left(running.thread) == []


@pytest.mark.parametrize("prefix", ["", "slot_", "conv_", "resp_", "msg_"])
async def test_a_conversation_is_deleted_whatever_is_damaged_in_it(scene: Scene, prefix: str) -> None:
    conversation, running, waiting = await scene.started()
    scene.damage(OWNER, running.thread, prefix)
    cancelled = await scene.retention.delete_conversation(OWNER, conversation.id)
    readable = [] if prefix in {"", "resp_"} else [running.id, waiting.id]
    assert sorted(each.id for each in cancelled) == sorted(readable)
    with pytest.raises(NotFound):
        await scene.conversations.read(OWNER, conversation.id)
    assert scene.left(running.thread) == []


async def test_a_waiting_turn_is_cancelled_where_the_running_one_is_damaged(scene: Scene) -> None:
    conversation, running, waiting = await scene.started()
    scene.damage(OWNER, running.thread, running.id)
    cancelled = await scene.retention.delete_conversation(OWNER, conversation.id)
    assert [each.id for each in cancelled] == [waiting.id]


@pytest.mark.parametrize("other", ["gone", "of another place"])
async def test_a_turn_is_deleted_whose_log_has_a_slot_that_follows_none(scene: Scene, other: str) -> None:
    _, running, _ = await scene.started()
    key = turns_key(OWNER, running.thread)
    first, *_ = [name for name in scene.store.rows(key) if name.startswith(slot_prefix(running.id))]
    row = scene.store.rows(key)[first]
    moved = replace(row, data=row.data.replace(b'"first":0', b'"first":7'))
    scene.store.put(key, first, None if other == "gone" else moved)
    with pytest.raises(DamagedRecord):
        await scene.turns.transcript(OWNER, running.id)
    assert (await scene.retention.delete_response(OWNER, running.id)).status is ResponseStatus.CANCELLED
