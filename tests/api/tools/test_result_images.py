"""Does a model with vision see the images that a tool returns, and does another one read that they are there?"""

import json
from copy import replace
from typing import Any

import pytest
from openai.types.responses.response_output_item import McpCall

from clients.tools.port import ToolAnswer
from domain.content.capabilities import Capability
from domain.content.items import Item, ItemKind
from domain.content.result_images import (
    MOST_CHARACTERS,
    MOST_IMAGES,
    MOST_SHOWN,
    NOT_SHOWN,
    as_images,
    taken_images,
    with_shown_images,
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


TAKEN: dict[str, tuple[list[str], int]] = {
    "one": ([DOT], 1),
    "more than a result may have": ([DOT] * (MOST_IMAGES + 1), MOST_IMAGES),
    "too large": ([f"data:image/jpeg;base64,/9j/{'A' * MOST_CHARACTERS}", DOT], 1),
    "too large together": ([LARGE, LARGE, DOT], 2),
    "a text that is called an image": (["data:image/png;base64,PGh0bWw+", DOT], 1),
    "of another type": ([LARGE.replace("jpeg", "png"), DOT], 1),
    "cut": (["data:image/png;base64,iVBORw0KGgoAA", DOT], 1),
    "a script": (["data:image/svg+xml;base64,AAAA"], 0),
    "no base64": (["data:image/png;base64,AA AA", "data:image/png;base64,"], 0),
    "an address": (["https://evil.example/dot.png"], 0),
}


@pytest.mark.parametrize(("urls", "count"), TAKEN.values(), ids=TAKEN)
def test_only_images_of_a_known_type_are_kept_up_to_the_limits(urls: list[str], count: int) -> None:
    assert len(taken_images(urls)) == count


def test_of_many_images_the_newest_ones_are_shown() -> None:
    items = [Item(id=f"mcp_{n}", kind=ItemKind.MCP_CALL, output=str(n), images=as_images([DOT] * 3)) for n in range(4)]
    shown = with_shown_images(items, sees=True)
    assert [len(item.images) for item in shown] == [0, 0, 3, 3]
    assert sum(len(item.images) for item in shown) <= MOST_SHOWN
    assert [NOT_SHOWN in (item.output or "") for item in shown] == [True, True, False, False]
