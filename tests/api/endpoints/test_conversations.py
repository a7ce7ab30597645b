"""Do all operations of the official SDK on conversations work?"""

from typing import Any

import openai
import pytest

from api.parsing.input_items import SUMMARY_HEADING
from tests.api.harness import ANSWER, api
from tests.api.test_sdk import sdk
from tests.fakes.backends import FakeBackend, says

HELLO: Any = {"type": "message", "role": "user", "content": "I am Ada"}


async def test_a_conversation_is_created_read_changed_and_deleted() -> None:
    async with sdk(api()) as client:
        made = await client.conversations.create(metadata={"topic": "sky"}, items=[HELLO])
        assert await client.conversations.retrieve(made.id) == made
        changed = await client.conversations.update(made.id, metadata={"topic": "sea"})
        assert changed.metadata == {"topic": "sea"}
        assert (await client.conversations.delete(made.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.conversations.retrieve(made.id)


async def test_conversations_are_listed_newest_first_in_pages() -> None:
    one = api()
    made: list[str] = []
    for _ in range(3):
        made.append((await one.http.post("/v1/conversations", json={})).json()["id"])
        one.world.clock.advance(1)
    first = (await one.http.get("/v1/conversations", params={"limit": 2})).json()
    second = (await one.http.get("/v1/conversations", params={"limit": 2, "after": first["last_id"]})).json()
    assert [[each["id"] for each in page["data"]] for page in (first, second)] == [made[:0:-1], made[:1]]
    assert [page["has_more"] for page in (first, second)] == [True, False]


async def test_a_deleted_conversation_and_those_of_others_are_not_listed() -> None:
    one, strange = api(), {"authorization": "Bearer strange"}
    kept = (await one.http.post("/v1/conversations", json={})).json()["id"]
    one.world.clock.advance(1)
    gone = (await one.http.post("/v1/conversations", json={})).json()["id"]
    await one.http.delete(f"/v1/conversations/{gone}")
    await one.http.post("/v1/conversations", json={}, headers=strange)
    for place in ({}, {"after": gone}):
        assert [each["id"] for each in (await one.http.get("/v1/conversations", params=place)).json()["data"]] == [kept]
    answer = await one.http.get("/v1/conversations", params={"after": gone}, headers=strange)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "item_not_found")


async def test_turns_read_and_extend_their_conversation() -> None:
    fake = FakeBackend(says("hello Ada"), says("Ada"))
    async with sdk(api(fake)) as client:
        made = await client.conversations.create(items=[HELLO])
        first = await client.responses.create(model="auto", input="hi", conversation=made.id)
        await client.responses.create(model="auto", input="who am I?", conversation={"id": made.id})
        items = [item async for item in client.conversations.items.list(made.id, order="asc")]
    assert first.conversation
    assert first.conversation.id == made.id
    assert [item.text for item in fake.calls[1].items] == ["I am Ada", "hi", "hello Ada", "who am I?"]
    assert [item.type for item in items] == ["message"] * 5


async def test_items_are_listed_in_pages_read_and_deleted() -> None:
    async with sdk(api()) as client:
        made = await client.conversations.create()
        texts: Any = [{"role": "user", "content": str(number)} for number in range(5)]
        added = await client.conversations.items.create(made.id, items=texts)
        page = await client.conversations.items.list(made.id, limit=2)
        assert [item.id for item in page.data] == [added.data[4].id, added.data[3].id]
        assert page.has_more
        assert len([item async for item in client.conversations.items.list(made.id, limit=2)]) == 5
        name = str(added.data[0].id)
        found: Any = await client.conversations.items.retrieve(name, conversation_id=made.id)
        assert found.content[0].text == "0"
        await client.conversations.items.delete(name, conversation_id=made.id)
        with pytest.raises(openai.NotFoundError):
            await client.conversations.items.retrieve(name, conversation_id=made.id)


async def test_another_owners_conversation_is_not_found() -> None:
    async with sdk(api()) as client:
        made = await client.conversations.create(items=[HELLO])
        strange = client.with_options(api_key="strange")
        with pytest.raises(openai.NotFoundError):
            await strange.conversations.items.list(made.id)
        with pytest.raises(openai.NotFoundError):
            await strange.conversations.delete(made.id)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=-1", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("after=msg_1", "after"),
    ],
)
async def test_an_invalid_page_parameter_is_named(query: str, field: str) -> None:
    one = api()
    made = (await one.http.post("/v1/conversations", json={"items": [HELLO]})).json()
    answer = await one.http.get(f"/v1/conversations/{made['id']}/items?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (404 if field == "after" else 400, field)


async def test_no_more_than_twenty_items_are_added_at_once() -> None:
    one = api()
    made = (await one.http.post("/v1/conversations")).json()
    answer = await one.http.post(f"/v1/conversations/{made['id']}/items", json={"items": [HELLO] * 21})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "items")


async def test_input_items_are_listed_and_a_response_is_deleted() -> None:
    async with sdk(api()) as client:
        made = await client.responses.create(model="auto", input=[HELLO, {"role": "user", "content": "hi"}])
        items: Any = [item async for item in client.responses.input_items.list(made.id, order="asc", limit=1)]
        assert [item.content[0].text for item in items] == ["I am Ada", "hi"]
        await client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(made.id)


async def test_tokens_are_counted_with_the_whole_history() -> None:
    async with sdk(api()) as client:
        alone = await client.responses.input_tokens.count(model="auto", input="hi")
        first = await client.responses.create(model="auto", input="I am Ada and I have a lot to tell")
        continued = await client.responses.input_tokens.count(model="auto", input="hi", previous_response_id=first.id)
        talk = await client.conversations.create(items=[HELLO])
        both = await client.responses.input_tokens.count(
            input="hi", previous_response_id=first.id, conversation=talk.id, reasoning={"effort": "high"}
        )
    assert alone.input_tokens < continued.input_tokens < both.input_tokens


async def test_a_conversation_is_compacted_and_continues_from_its_summary() -> None:
    fake = FakeBackend(says(ANSWER), says("Ada asked for a song"), says("yes"))
    async with sdk(api(fake)) as client:
        first = await client.responses.create(model="auto", input="I am Ada; sing")
        body = {"model": "auto", "previous_response_id": first.id}
        small: Any = await client.post("/responses/compact", body=body, cast_to=object)
        assert small["usage"]["output_tokens"] == 5
        given: Any = [*small["output"], {"role": "user", "content": "and?"}]
        assert (await client.responses.create(model="auto", input=given)).output_text == "yes"
    assert [item.text for item in fake.calls[1].items[:2]] == ["I am Ada; sing", ANSWER]
    assert [item.text for item in fake.calls[2].items] == [
        "I am Ada; sing",
        SUMMARY_HEADING + "Ada asked for a song",
        "and?",
    ]


async def test_a_compaction_item_of_another_service_is_rejected() -> None:
    given = [{"type": "compaction", "encrypted_content": "gibberish"}]
    answer = await api().create({"model": "auto", "input": given})
    assert answer.status_code == 400


async def test_a_compaction_requires_a_model() -> None:
    one = api()
    answer = await one.http.post("/v1/responses/compact", json={"input": "x"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


async def test_a_conversation_that_does_not_fit_is_rejected_without_truncation() -> None:
    one = api(FakeBackend(says("word " * 500)))
    first = (await one.create({"input": "word " * 1200, "model": "auto"})).json()
    long = {"input": "word " * 1200, "model": "auto", "previous_response_id": first["id"]}
    rejected = await one.create({**long, "truncation": "disabled"})
    assert (rejected.status_code, rejected.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert (await one.create(long)).json()["status"] == "completed"
