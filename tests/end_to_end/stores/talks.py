"""What must be so of a conversation and a chain, whatever the store is, and whatever dies in the middle?"""

import asyncio
from collections.abc import Callable, Sequence
from random import Random

from clients.clock import SystemClock
from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.books import ALICE
from tests.end_to_end.callers import PINNED, Json, asking, counted
from tests.end_to_end.conftest import Scene
from tests.state.turns.long_conversations import Talk

LONGEST_S = 1.0
FOLLOWED_S = 90
TIMES = 14
"""So many times a few words make five hundred turns longer than any window here."""


async def begun(scene: Scene) -> str:
    return (await scene.books.turns.conversations.create(ALICE, metadata={})).id


async def of_two_one_wins(scene: Scene) -> None:
    """Two turns at once, as two callers and as two deliveries of one request."""
    conversation = await begun(scene)
    bodies = [asking(f"COUNT {number}", conversation={"id": conversation}) for number in (30, 31)]
    answers = await asyncio.gather(*(scene.caller.create(body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (refused,) = [answer for answer in answers if answer.status_code == 409]
    assert refused.json()["error"]["code"] == "conversation_locked"
    assert refused.headers["x-should-retry"] == "true"
    again = asking("COUNT 32", conversation=conversation)
    key = {"Idempotency-Key": conversation}
    same = await asyncio.gather(*(scene.caller.create(again, **key) for _ in range(3)))
    assert [answer.status_code for answer in same] == [200] * 3
    assert len({answer.json()["id"] for answer in same}) == 1


async def long_talk_is_answered(scene: Scene, length: int, *, chain: bool) -> None:
    """A turn behind so many others is answered within the window; the latest is read, the oldest is not."""
    talk = Talk(turns=scene.books.turns, clock=SystemClock(), owner=ALICE)
    talk.conversation = "" if chain else await begun(scene)
    await talk.grow(length, times=TIMES)
    last = talk.last.id if talk.last else ""
    past: Json = {"previous_response_id": last} if chain else {"conversation": talk.conversation}
    body = asking("RECALL", **past)
    answer = (await scene.caller.create(body)).json()
    assert answer.get("status") == "completed", answer
    left_out = int(answer["metadata"]["ganglion_left_out"].split()[2])
    assert length * 0.3 < left_out < length
    [call] = await scene.caller.model_calls(body)
    said = [message["content"] for message in call["messages"] if message["role"] == "user"]
    assert [text.split()[0] for text in said[:-1]] == [str(number) for number in range(left_out, length)]


async def talk_outlives(
    scene: Scene, kills: Sequence[Callable[[LocalCluster], None]], random: Random, *, length: int = 90
) -> None:
    """Each turn of a conversation is broken by a kill; in the end it holds every turn once, in order, and is free."""
    conversation = await begun(scene)
    expected: list[str] = []
    for number, kill in enumerate(kills):
        body = asking(f"COUNT {length + number}", PINNED, conversation=conversation)
        async with asyncio.timeout(FOLLOWED_S), asyncio.TaskGroup() as group:
            following = group.create_task(scene.caller.follow(body))
            await asyncio.sleep(random.uniform(0, LONGEST_S))
            await asyncio.to_thread(kill, scene.cluster)
        reading = following.result()
        await scene.books.assert_exact(reading, counted(length + number))
        await scene.books.settled(scene.caller, reading.id)
        expected += [body["input"], counted(length + number)]
    page = await scene.books.turns.conversations.items(ALICE, conversation, limit=100, order="asc")
    assert [item.text for item in page.items] == expected
    found = await scene.books.turns.conversations.read(ALICE, conversation)
    assert (found.running, found.next_entry) == (None, len(kills))
