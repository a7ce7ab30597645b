"""Does a model with vision see the images that a tool returns, and does another one read that they are there?"""

import json
from copy import replace
from typing import Any

from openai.types.responses.response_output_item import McpCall

from clients.tools.port import ToolAnswer
from domain.content.capabilities import Capability
from domain.content.result_images import (
    NOT_SHOWN,
)
from tests.api.harness import Api
from tests.api.test_sdk import sdk
from tests.api.tools.agents import SHOP, agent, calls, sent, widened
from tests.fakes.backends import says
from tests.fakes.stores import MemoryStore
from tests.fakes.tools import FakeTools

type Json = dict[str, Any]

DOT = "data:image/png;base64,iVBORw0KGgo="
LARGE = f"data:image/jpeg;base64,/9j/{'A' * 400_000}"
LOOKUP = calls(("shop__find_order", {"number": "A-1"}))


def looking(*scripts: Any, images: tuple[str, ...] = (DOT,), sees: bool = True) -> Api:
    """Return an API whose model calls a tool that returns images."""
    answer = ToolAnswer(status=200, text="a label\n[image of the type image/png]", images=images)
    one = agent(LOOKUP, *(scripts or (says("a dot"),)), tools=FakeTools(replies={"find_order": [answer]}))
    fleet: Any = widened(one).world.fleet
    model = fleet.models["model"]
    able = model.capabilities | ({Capability.VISION} if sees else set[Capability]())
    fleet.models["model"] = replace(model, capabilities=able)
    return one


async def ask(one: Api, **more: Any) -> Json:
    made = await one.create({"model": "auto", "input": "what is on it?", "tools": [SHOP], **more})
    assert made.status_code == 200, made.text
    return made.json()


def urls_in(one: Api) -> list[str]:
    """Return the images that the model was shown last."""
    parts = [part for each in sent(one)["messages"] if isinstance(each["content"], list) for part in each["content"]]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def stored(one: Api) -> str:
    store = one.world.store
    assert isinstance(store, MemoryStore)
    return json.dumps([row.document.body for rows in store.partitions.values() for row in rows.values()], default=str)


async def test_a_model_with_vision_sees_them_in_this_turn_and_in_later_ones() -> None:
    one = looking(says("a dot"), says("still a dot"))
    made = await ask(one)
    assert urls_in(one) == [DOT]
    await ask(one, previous_response_id=made["id"])
    assert urls_in(one) == [DOT]
    assert made["output"][1]["output"] == "a label\n[image of the type image/png]"


async def test_a_model_without_vision_reads_that_they_are_not_shown_and_is_not_refused() -> None:
    one = looking(says("I can not see it"), says("still not"), sees=False)
    made = await ask(one)
    assert urls_in(one) == []
    assert NOT_SHOWN in str(sent(one)["messages"][-1]["content"])
    assert (await ask(one, previous_response_id=made["id"]))["status"] == "completed"


async def test_a_large_one_is_kept_and_erased_with_its_turn() -> None:
    one = looking(says("large"), says("and now?"), images=(LARGE,))
    made = await ask(one)
    assert len(stored(one)) > len(LARGE)
    await ask(one, previous_response_id=made["id"])
    assert urls_in(one) == [LARGE]
    following = (await one.http.get(f"/v1/responses/{made['id']}/input_items")).json()
    assert LARGE[:80] not in json.dumps([made, following])
    await one.http.delete(f"/v1/responses/{made['id']}")
    assert LARGE[30:1000] not in stored(one)


async def test_the_unmodified_sdk_reads_the_call() -> None:
    one = looking()
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="?", tools=[SHOP])
    (call,) = [item for item in made.output if isinstance(item, McpCall)]
    assert (call.status, "[image of the type image/png]" in (call.output or "")) == ("completed", True)
