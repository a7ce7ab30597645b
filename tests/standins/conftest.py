"""How do the tests of the stand-ins reach a scripted model over a real socket?"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from standins.scripted.server import ScriptedModel, TokenPace
from tests.fakes.servers.web_servers import served

type Opener = Callable[..., Awaitable[httpx.AsyncClient]]


@asynccontextmanager
async def serving(model: ScriptedModel) -> AsyncGenerator[httpx.AsyncClient]:
    async with (
        served(model.application(), cancels=True) as base,
        httpx.AsyncClient(base_url=base, timeout=10) as client,
    ):
        yield client


@pytest.fixture
async def open_model() -> AsyncIterator[Opener]:
    async with AsyncExitStack() as stack:

        async def open_one(*, rate: float = 0, first_token_s: float = 0, continues: bool = True) -> httpx.AsyncClient:
            pace = TokenPace(rate=rate, first_token_s=first_token_s)
            model = ScriptedModel(pace=pace, continues=continues, clock=time.monotonic)
            return await stack.enter_async_context(serving(model))

        yield open_one


@pytest.fixture
async def model(open_model: Opener) -> httpx.AsyncClient:
    return await open_model()


def chat_body(text: str, partial: str | None = None, **more: Any) -> dict[str, Any]:
    """Gives the body of a request whose last user message is `text`, with a partial answer to continue."""
    said = [] if partial is None else [{"role": "assistant", "content": partial}]
    return {"messages": [{"role": "user", "content": text}, *said], **more}


async def complete(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def answer_text(client: httpx.AsyncClient, text: str, partial: str | None = None, **more: Any) -> str:
    body = await complete(client, chat_body(text, partial, **more))
    return body["choices"][0]["message"]["content"]


async def last_ended_request(client: httpx.AsyncClient, deadline_s: float = 5) -> dict[str, Any]:
    """Waits until the last request has ended, and gives what the model recorded of it."""
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        entries = (await client.get("/admin/requests")).json()["requests"]
        if entries and entries[-1]["how"]:
            return entries[-1]
        await asyncio.sleep(0.01)
    raise TimeoutError("the last request has not ended")
