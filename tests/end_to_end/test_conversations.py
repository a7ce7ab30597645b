"""Does a conversation go on over HTTP, one turn at a time, and within the window however long it grows?"""

import pytest

from domain.content.items import Item, Role
from tests.end_to_end.books import ALICE, owner_named
from tests.end_to_end.callers import Caller, asking, calling
from tests.end_to_end.conftest import Scene
from tests.end_to_end.stores.talks import long_talk_is_answered, of_two_one_wins
from tests.end_to_end.waiting import GUARD_S, eventually


async def begun(scene: Scene, *texts: str) -> str:
    items = [Item(id="", role=Role.USER, text=text) for text in texts]
    made = await scene.books.turns.conversations.create(ALICE, metadata={}, items=items[:20])
    for item in items[20:]:
        await scene.books.turns.conversations.add(ALICE, made.id, [item])
    return made.id


async def test_a_turn_reads_its_conversation_and_becomes_part_of_it(scene: Scene) -> None:
    conversation = await begun(scene, "my boat is a canoe")
    answer = (await scene.caller.create(asking("RECALL", conversation=conversation))).json()
    assert answer["output"][0]["content"][0]["text"] == "my boat is a canoe"
    assert answer["conversation"] == {"id": conversation}
    page = await scene.books.turns.conversations.items(ALICE, conversation, order="asc")
    assert [item.text for item in page.items] == ["my boat is a canoe", "RECALL", "my boat is a canoe"]


async def test_of_two_turns_at_once_one_wins_and_the_other_hears_why(scene: Scene) -> None:
    await of_two_one_wins(scene)


@pytest.mark.parametrize("chain", [False, True])
async def test_a_talk_of_five_hundred_turns_is_answered_without_its_oldest(scene: Scene, *, chain: bool) -> None:
    await long_talk_is_answered(scene, 500, chain=chain)


async def test_an_unknown_conversation_and_two_histories_at_once_are_rejected(scene: Scene) -> None:
    missing = await scene.caller.create(asking("hello", conversation=f"conv_{'0' * 24}"))
    assert missing.status_code == 404
    both = asking("hello", conversation=f"conv_{'0' * 24}", previous_response_id=f"resp_{'0' * 48}")
    assert (await scene.caller.create(both)).status_code == 400


async def test_who_has_himself_forgotten_is_forgotten_and_what_he_runs_ends(scene: Scene) -> None:
    async with calling(scene.cluster, scene.cluster.token("dave")) as dave:
        talk = (await dave.http.post("/v1/conversations", json={"metadata": {"of": "dave"}})).json()["id"]
        said = (await dave.create(asking("ECHO a secret", conversation=talk))).json()["id"]
        running = (await dave.create(asking("COUNT 2000", background=True))).json()["id"]
        await answering(dave, running)
        answer = await dave.http.delete("/v1/owners/me")
        assert (answer.status_code, answer.json()["deleted"]) == (200, True)
        paths = (f"responses/{said}", f"responses/{running}", f"conversations/{talk}", f"conversations/{talk}/items")
        assert [(await dave.http.get(f"/v1/{path}")).status_code for path in paths] == [404] * 4
        await dave.orchestration_ended(running)
        assert await scene.books.left(owner_named("dave")) == []
        assert (await dave.create(asking("ECHO again"))).json()["status"] == "completed"


async def answering(caller: Caller, response_id: str) -> None:
    """Waits until the turn has text: what an earlier step writes after an erasure stays until the second round."""

    async def look() -> bool | None:
        return bool((await caller.poll(response_id))["output"]) or None

    await eventually(look, within_s=GUARD_S, what="the first text")
