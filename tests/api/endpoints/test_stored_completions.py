"""Do all operations of the official SDK on stored chat completions work?"""

from typing import Any

import openai
import pytest

from tests.api.harness import ANSWER, api
from tests.api.test_sdk import sdk

MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]


async def test_a_stored_chat_is_read_changed_and_deleted() -> None:
    async with sdk(api()) as client:
        made = await client.chat.completions.create(model="auto", messages=MESSAGES, store=True)
        found = await client.chat.completions.retrieve(made.id)
        assert found == made
        changed = await client.chat.completions.update(made.id, metadata={"topic": "sky"})
        assert changed.choices == made.choices
        messages: Any = await messages_of(client, made.id)
        assert [message["content"] for message in messages] == ["hi"]
        assert (await client.chat.completions.delete(made.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.retrieve(made.id)


async def messages_of(client: openai.AsyncOpenAI, identifier: str) -> Any:
    """Read messages without the SDK's types, which have the role assistant only."""
    answer = await client.chat.completions.messages.with_raw_response.list(identifier)
    return answer.http_response.json()["data"]


async def test_stored_chats_are_listed_in_pages_and_filtered() -> None:
    async with sdk(api()) as client:
        for number in range(3):
            await client.chat.completions.create(
                model="auto", messages=MESSAGES, store=True, metadata={"number": str(number)}
            )
        await client.chat.completions.create(model="auto", messages=MESSAGES)
        page = await client.chat.completions.list(limit=2)
        assert page.has_more
        assert len([each async for each in client.chat.completions.list(limit=2)]) == 3
        chosen = await client.chat.completions.list(metadata={"number": "1"})
        assert len(chosen.data) == 1
        assert chosen.data[0].choices[0].message.content == ANSWER
        assert (await client.chat.completions.list(model="other")).data == []


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_list_goes_on_after_a_chat_that_was_deleted_meanwhile(order: Any) -> None:
    async with sdk(api()) as client:
        for _ in range(4):
            await client.chat.completions.create(model="auto", messages=MESSAGES, store=True)
        known = [each.id async for each in client.chat.completions.list(order=order)]
        page = await client.chat.completions.list(limit=2, order=order)
        await client.chat.completions.delete(known[1])
        following = await page.get_next_page()
        assert [each.id for each in following.data] == known[2:]
        left = [each.id async for each in client.chat.completions.list(limit=1, order=order)]
        assert left == [known[0], *known[2:]]


async def test_unstored_chats_and_those_of_another_owner_are_not_found() -> None:
    async with sdk(api()) as client:
        unstored = await client.chat.completions.create(model="auto", messages=MESSAGES)
        stored = await client.chat.completions.create(model="auto", messages=MESSAGES, store=True)
        for caller, name in ((client, unstored.id), (client.with_options(api_key="strange"), stored.id)):
            with pytest.raises(openai.NotFoundError, match="Chat completion"):
                await caller.chat.completions.retrieve(name)
