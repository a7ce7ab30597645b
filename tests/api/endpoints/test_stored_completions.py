"""Does the unmodified official SDK find the chat completions that it asked to store?"""

from typing import Any

import openai
import pytest

from tests.api.harness import ANSWER, api
from tests.api.test_sdk import sdk

ASKED: list[Any] = [{"role": "user", "content": "hi"}]


async def test_a_stored_chat_is_read_changed_and_deleted() -> None:
    async with sdk(api()) as client:
        made = await client.chat.completions.create(model="auto", messages=ASKED, store=True)
        found = await client.chat.completions.retrieve(made.id)
        assert found == made
        changed = await client.chat.completions.update(made.id, metadata={"topic": "sky"})
        assert changed.choices == made.choices
        messages: Any = await api_messages(client, made.id)
        assert [message["content"] for message in messages] == ["hi"]
        assert (await client.chat.completions.delete(made.id)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.retrieve(made.id)


async def api_messages(client: openai.AsyncOpenAI, identifier: str) -> Any:
    """Read messages without the SDK's types, which know the assistant's alone."""
    answer = await client.chat.completions.messages.with_raw_response.list(identifier)
    return answer.http_response.json()["data"]


async def test_stored_chats_are_listed_in_pages_and_by_what_they_have() -> None:
    async with sdk(api()) as client:
        for number in range(3):
            await client.chat.completions.create(
                model="auto", messages=ASKED, store=True, metadata={"number": str(number)}
            )
        await client.chat.completions.create(model="auto", messages=ASKED)
        page = await client.chat.completions.list(limit=2)
        assert page.has_more
        assert len([each async for each in client.chat.completions.list(limit=2)]) == 3
        chosen = await client.chat.completions.list(metadata={"number": "1"})
        assert len(chosen.data) == 1
        assert chosen.data[0].choices[0].message.content == ANSWER
        assert (await client.chat.completions.list(model="other")).data == []


async def test_what_was_not_stored_and_what_is_anothers_is_not_there() -> None:
    async with sdk(api()) as client:
        unstored = await client.chat.completions.create(model="auto", messages=ASKED)
        stored = await client.chat.completions.create(model="auto", messages=ASKED, store=True)
        for caller, name in ((client, unstored.id), (client.with_options(api_key="strange"), stored.id)):
            with pytest.raises(openai.NotFoundError, match="Chat completion"):
                await caller.chat.completions.retrieve(name)
