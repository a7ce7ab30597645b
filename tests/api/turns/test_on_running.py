"""Is a new turn rejected, or does it wait or interrupt, where another one has its conversation?"""

import asyncio
from typing import Any

import httpx
import pytest

from domain.log.events import ResponseStatus
from domain.turns.conversations import Conversation
from tests.api.harness import Api, api
from tests.fakes.backends import FakeBackend, says
from tests.fakes.worlds import OWNER

BODY = {"input": "hi", "model": "auto"}


class Scene:
    """A conversation whose first turn runs until its gate is opened."""

    def __init__(self, *others: str) -> None:
        self.gate = asyncio.Event()
        self.backend = FakeBackend([self.gate, *says("first")], *(says(text) for text in others or ("second",)))
        self.api: Api = api(self.backend)

    async def begin(self, *, chained: bool = False) -> dict[str, Any]:
        """Start the first turn, and return what a turn after it sends."""
        where: dict[str, Any] = {}
        if not chained:
            where = {"conversation": (await self.api.http.post("/v1/conversations", json={})).json()["id"]}
        first = (await self.api.create({**BODY, **where, "background": True})).json()
        self.first = str(first["id"])
        return where or {"previous_response_id": self.first}

    async def send(self, where: dict[str, Any], on_running: str, text: str = "and?", **more: Any) -> httpx.Response:
        metadata = {"on_running": on_running, **more}
        return await self.api.create({**BODY, **where, "input": text, "background": True, "metadata": metadata})

    async def ended(self) -> None:
        self.gate.set()
        await self.api.orchestrations.ended()

    async def read(self, answer: httpx.Response) -> dict[str, Any]:
        return (await self.api.http.get(f"/v1/responses/{answer.json()['id']}")).json()

    async def conversation(self, where: dict[str, Any]) -> Conversation:
        return await self.api.world.turns.conversations.read(OWNER, where["conversation"])


@pytest.mark.parametrize("chained", [False, True])
async def test_a_turn_is_rejected_with_the_id_of_the_running_one_and_when_to_retry(chained: bool) -> None:  # noqa: FBT001 - a parameter of the table
    scene = Scene()
    where = await scene.begin(chained=chained)
    for on_running in ("reject", ""):
        answer = await scene.send(where, on_running) if on_running else await scene.api.create({**BODY, **where})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conversation_locked")
        assert answer.headers["x-ganglion-running-response"] == scene.first
        assert scene.first in answer.json()["error"]["message"]
        assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("2", "true")
    await scene.ended()
    assert (await scene.send(where, "reject")).status_code == 200


@pytest.mark.parametrize("chained", [False, True])
async def test_a_turn_that_waits_reads_what_the_running_one_answered(chained: bool) -> None:  # noqa: FBT001 - a parameter of the table
    scene = Scene()
    where = await scene.begin(chained=chained)
    waiting = await scene.send(where, "queue")
    assert waiting.json()["status"] == "queued"
    assert (await scene.read(waiting))["status"] == "queued"
    await scene.ended()
    ended = await scene.read(waiting)
    assert (ended["status"], ended["output"][0]["content"][0]["text"]) == ("completed", "second")
    assert [item.text for item in scene.backend.calls[1].items] == ["hi", "first", "and?"]


async def test_turns_wait_in_the_order_of_their_admission_and_newcomers_behind_them() -> None:
    scene = Scene("second", "third", "fourth")
    where = await scene.begin()
    waiting = [await scene.send(where, "queue", text) for text in ("a", "b", "c")]
    scene.api.orchestrations.hold = True
    assert (await scene.conversation(where)).waiting == tuple(each.json()["id"] for each in waiting)
    await scene.api.world.turns.finish(OWNER, scene.first, status=ResponseStatus.COMPLETED)
    late = await scene.send(where, "reject")
    assert late.status_code == 409
    await scene.ended()
    items = (await scene.api.http.get(f"/v1/conversations/{where['conversation']}/items?order=asc")).json()["data"]
    asked = [item["content"][0]["text"] for item in items if item["role"] == "user"]
    assert asked == ["hi", "a", "b", "c"]
    assert (await scene.conversation(where)).waiting == ()


async def test_the_end_of_a_turn_wakes_the_first_in_line_and_no_other() -> None:
    scene = Scene("second", "third")
    where = await scene.begin()
    scene.api.orchestrations.hold = True
    waiting = [(await scene.send(where, "queue", text)).json()["id"] for text in ("a", "b")]
    await end(scene.api, waiting[1], "cancelled")
    assert scene.api.orchestrations.woken == []
    await end(scene.api, scene.first, "completed")
    assert scene.api.orchestrations.woken == [waiting[0]]
    await scene.ended()


@pytest.mark.parametrize("chained", [False, True])
async def test_deleting_the_running_turn_wakes_the_next_in_line(chained: bool) -> None:  # noqa: FBT001 - a parameter of the table
    scene = Scene("second", "third")
    scene.api.orchestrations.hold = True
    where = await scene.begin(chained=chained)
    waiting = [(await scene.send(where, "queue", text)).json()["id"] for text in ("a", "b")]
    assert (await scene.api.http.delete(f"/v1/responses/{waiting[1]}")).status_code == 200
    assert scene.api.orchestrations.woken == []
    assert (await scene.api.http.delete(f"/v1/responses/{scene.first}")).status_code == 200
    assert scene.api.orchestrations.woken == (waiting if chained else waiting[:1])


async def end(one: Api, response_id: str, status: str) -> None:
    """Run the step that ends a turn, with what follows it."""
    app = one.world.app
    finish = app.follow_ups.after(app.activities.finish.finish)
    turn = {"tenant": OWNER.tenant, "subject": OWNER.subject, "traceparent": "", "code": "", "message": ""}
    await finish({**turn, "response": response_id, "status": status}, None)  # pyright: ignore[reportArgumentType]


async def test_the_end_of_a_turn_without_a_conversation_wakes_all_that_continue_it() -> None:
    scene = Scene("second", "third", "fourth")
    where = await scene.begin(chained=True)
    scene.api.orchestrations.hold = True
    waiting = [(await scene.send(where, "queue", text)).json()["id"] for text in ("a", "b")]
    later = (await scene.send({"previous_response_id": waiting[0]}, "queue", "c")).json()["id"]
    await end(scene.api, waiting[1], "cancelled")
    assert scene.api.orchestrations.woken == []
    await end(scene.api, scene.first, "completed")
    assert scene.api.orchestrations.woken == waiting
    await end(scene.api, waiting[0], "cancelled")
    assert scene.api.orchestrations.woken == [*waiting, later]
    await scene.ended()


async def test_turns_that_are_admitted_together_are_all_woken() -> None:
    scene = Scene("second")
    where = await scene.begin(chained=True)
    scene.api.orchestrations.hold = True
    answers = await asyncio.gather(*(scene.send(where, "queue", str(number)) for number in range(5)))
    await end(scene.api, scene.first, "completed")
    assert sorted(scene.api.orchestrations.woken) == sorted(answer.json()["id"] for answer in answers)
    await scene.ended()


async def test_a_turn_that_need_not_wait_leaves_no_mark_at_the_one_before_it() -> None:
    scene = Scene()
    where = await scene.begin(chained=True)
    waiting = await scene.send(where, "queue")
    found = await scene.api.world.turns.read(OWNER, scene.first)
    assert found.progress.followers == (waiting.json()["id"],)
    await scene.ended()
    late = await scene.send(where, "queue")
    await scene.api.orchestrations.ended()
    assert (await scene.read(late))["status"] == "completed"
    assert (await scene.api.world.turns.read(OWNER, scene.first)).progress.followers == (waiting.json()["id"],)


@pytest.mark.parametrize("ending", ["cancel", "delete"])
async def test_a_turn_that_waits_can_be_cancelled_and_leaves_the_line(ending: str) -> None:
    scene = Scene()
    where = await scene.begin()
    waiting = (await scene.send(where, "queue")).json()["id"]
    if ending == "cancel":
        assert (await scene.api.http.post(f"/v1/responses/{waiting}/cancel")).json()["status"] == "cancelled"
    else:
        assert (await scene.api.http.delete(f"/v1/responses/{waiting}")).status_code == 200
    assert (await scene.conversation(where)).waiting == ()
    await scene.ended()
    assert len(scene.backend.calls) == 1
    assert (await scene.send(where, "reject")).status_code == 200


async def test_a_turn_waits_until_its_deadline() -> None:
    scene = Scene()
    where = await scene.begin()
    before = set(scene.api.orchestrations.tasks)
    waiting = await scene.send(where, "queue", deadline_ms="5000")
    await asyncio.gather(*(scene.api.orchestrations.tasks - before))
    assert "deadline" in (await scene.read(waiting))["error"]["message"]
    assert (await scene.conversation(where)).waiting == ()
    await scene.ended()


async def test_a_waiting_turn_that_cannot_begin_fails_with_the_reason() -> None:
    scene = Scene()
    where = await scene.begin()
    result = {"type": "function_call_output", "call_id": "call_1", "output": "la"}
    waiting = await scene.api.create(
        {**BODY, **where, "input": [result], "background": True, "metadata": {"on_running": "queue"}}
    )
    await scene.ended()
    ended = await scene.read(waiting)
    assert ended["error"]["code"] == "invalid_prompt"
    assert "'call_1'" in ended["error"]["message"]
    assert (await scene.send(where, "reject")).status_code == 200


@pytest.mark.parametrize("chained", [False, True])
async def test_a_turn_that_interrupts_cancels_the_running_one(chained: bool) -> None:  # noqa: FBT001 - a parameter of the table
    scene = Scene()
    where = await scene.begin(chained=chained)
    second = await scene.send(where, "cancel")
    assert second.status_code == 200
    assert (await scene.api.http.get(f"/v1/responses/{scene.first}")).json()["status"] == "cancelled"
    assert scene.first in scene.api.orchestrations.cancelled
    await scene.ended()
    assert (await scene.read(second))["status"] == "completed"


async def test_a_turn_that_interrupts_cancels_those_that_wait_too() -> None:
    scene = Scene("second")
    where = await scene.begin()
    waiting = [(await scene.send(where, "queue", text)).json()["id"] for text in ("a", "b")]
    last = await scene.send(where, "cancel", "stop")
    await scene.ended()
    for name in (scene.first, *waiting):
        assert (await scene.api.http.get(f"/v1/responses/{name}")).json()["status"] == "cancelled"
    assert (await scene.read(last))["status"] == "completed"
    assert [item.text for item in scene.backend.calls[-1].items] == ["stop"]


async def test_deleting_a_conversation_cancels_those_that_wait() -> None:
    scene = Scene()
    scene.api.orchestrations.hold = True
    where = await scene.begin()
    waiting = (await scene.send(where, "queue")).json()["id"]
    assert (await scene.api.http.delete(f"/v1/conversations/{where['conversation']}")).status_code == 200
    assert (await scene.api.http.get(f"/v1/responses/{waiting}")).status_code == 404


@pytest.mark.parametrize(("key", "value"), [("on_running", "wait"), ("on_disconnect", "stop"), ("on_running", "")])
async def test_another_value_is_rejected_by_name(key: str, value: str) -> None:
    answer = await api().create({**BODY, "metadata": {key: value}})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, f"metadata.{key}")
    assert "cancel" in error["message"]
