"""Does a compaction keep what the user said, cover every kind of item, and stay bounded?"""

from typing import Any

import pytest

from api.endpoints.compaction import KEPT_CHARACTERS, REQUEST, kept_messages
from api.parsing.compaction_input import DESCRIBED_CHARACTERS, described_items
from domain.content.items import ImageInput, Item, Role
from tests.api.harness import api
from tests.fakes.backends import FakeBackend, says

PIXEL = "data:image/png;base64,iVBORw0KGgo="


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


async def compacted(*items: dict[str, Any], fake: FakeBackend | None = None) -> list[dict[str, Any]]:
    one = api(fake or FakeBackend(says("a summary")))
    answer = await one.http.post("/v1/responses/compact", json={"model": "auto", "input": list(items)})
    assert answer.status_code == 200, answer.text
    return answer.json()["output"]


async def test_user_messages_are_kept_and_the_summary_follows() -> None:
    output = await compacted(said("system", "be kind"), said("user", "a"), said("assistant", "b"), said("user", "c"))
    assert [item["type"] for item in output] == ["message", "message", "compaction"]
    assert [item["content"][0]["text"] for item in output[:2]] == ["a", "c"]
    assert {item["role"] for item in output[:2]} == {"user"}


async def test_a_compaction_of_a_compaction_keeps_the_messages_and_sums_up_the_summary() -> None:
    fake = FakeBackend(says("first"), says("second"))
    one = api(fake)
    body: dict[str, Any] = {"model": "auto", "input": [said("user", "a"), said("assistant", "b")]}
    output = (await one.http.post("/v1/responses/compact", json=body)).json()["output"]
    again = await one.http.post("/v1/responses/compact", json={**body, "input": [*output, said("user", "c")]})
    assert [item["type"] for item in again.json()["output"]] == ["message", "message", "compaction"]
    assert "first" in fake.calls[1].items[1].text


OTHERS: dict[str, dict[str, Any]] = {
    "a search": {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "larks"}},
    "a shell call": {"type": "local_shell_call", "call_id": "c1", "action": {"command": ["ls", "larks"]}},
    "a future kind": {"type": "telepathy", "text": "larks"},
    "a call without a result": {"type": "function_call", "call_id": "c1", "name": "larks", "arguments": "{}"},
    "a result without a call": {"type": "function_call_output", "call_id": "c1", "output": "larks"},
}


@pytest.mark.parametrize("item", OTHERS.values(), ids=OTHERS)
async def test_every_kind_of_item_is_summed_up(item: dict[str, Any]) -> None:
    fake = FakeBackend(says("a summary"))
    output = await compacted(said("user", "a"), item, fake=fake)
    assert [each["type"] for each in output] == ["message", "compaction"]
    described = fake.calls[0].items[1]
    assert described.text.startswith(f"[{item['type']}] ")
    assert "larks" in described.text


async def test_a_call_with_its_result_is_read_as_it_is() -> None:
    fake = FakeBackend(says("a summary"))
    pair = (OTHERS["a call without a result"], OTHERS["a result without a call"])
    await compacted(*pair, fake=fake)
    assert [item.call_id for item in fake.calls[0].items] == ["c1", "c1", ""]


def test_a_described_item_is_bounded() -> None:
    body = described_items({"input": [{"type": "telepathy", "text": "x" * 100_000}]})
    assert len(body["input"][0]["content"]) < DESCRIBED_CHARACTERS + 20


def test_kept_messages_are_bounded_and_the_latest_win() -> None:
    image = ImageInput(url=PIXEL)
    old, new = Item(id="1", role=Role.USER, text="x" * KEPT_CHARACTERS), Item(id="2", role=Role.USER, images=(image,))
    request = Item(id="3", role=Role.USER, text=REQUEST)
    assert kept_messages((old, new, request)) == [new]
    assert kept_messages((old, request)) == [old]


@pytest.mark.parametrize("body", [{}, {"input": None}, {"input": []}, {"instructions": "be brief"}])
async def test_nothing_to_compact_is_rejected(body: dict[str, Any]) -> None:
    answer = await api().http.post("/v1/responses/compact", json={"model": "auto", **body})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input")
