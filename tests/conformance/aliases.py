"""How do tests that ask for fixed ids find objects of ours?

A relay in front of the product: it makes the objects that the official SDK's tests name, and puts their ids in place of
the fixed ones in requests. Answers go back as they are.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, ClientTimeout, web

from tests.fakes.servers.web_servers import handled_by, served

RESPONSES = ("resp_677efb5139a88190b512bc3fef8e535d", "resp_123", "response_id")
PARENT = "previous_response_id"
CURSOR = "after=after"
CONVERSATION, ITEM, CHAT = "conv_123", "msg_abc", "completion_id"
COUNTED = '"conversation":"string"'
MODEL = "gpt-4o-mini"
FINE_TUNED = "ft:gpt-4o-mini:acemeco:suffix:abc123"
SLOW = "FAIL hang-before"
"""What the scripted model never answers: a turn that can be cancelled."""

type Json = dict[str, Any]


class Aliases:
    """The relay. Every request that names a fixed id gets an object of its own."""

    def __init__(self, upstream: str, token: str) -> None:
        self.upstream = upstream
        self.token = token
        self.seeded = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        path = request.path_qs.replace(CURSOR, "")
        names = await self.names(path, body)
        for alias, name in names.items():
            path, body = path.replace(alias, name), put(body, alias, name)
        return await self.relayed(request, path, body)

    async def names(self, path: str, body: str) -> dict[str, str]:
        """Return what stands for the aliases that a request names."""
        told = f"{path} {body}".replace(PARENT, "")
        names: dict[str, str] = {FINE_TUNED: MODEL}
        for alias in RESPONSES:
            if alias in told:
                names[alias] = await self.response(running=path.endswith("/cancel"))
        if CHAT in told:
            names[CHAT] = await self.chat()
        if CONVERSATION in told or ITEM in told:
            names[CONVERSATION], names[ITEM] = await self.conversation()
        if COUNTED in body.replace(" ", "") and path.endswith("/input_tokens"):
            names['"string"'] = f'"{(await self.conversation())[0]}"'
        return names

    async def response(self, *, running: bool) -> str:
        asked = {"model": MODEL, "input": self.unlike(SLOW if running else "ECHO hello"), "background": running}
        return str((await self.made("responses", asked))["id"])

    async def chat(self) -> str:
        messages = [{"role": "assistant", "content": self.unlike("hello")}]
        return str((await self.made("chat/completions", {"model": MODEL, "messages": messages, "store": True}))["id"])

    async def conversation(self) -> tuple[str, str]:
        items = [{"type": "message", "role": "user", "content": self.unlike("hello")}]
        made = await self.made("conversations", {"items": items})
        listed = await self.got(f"conversations/{made['id']}/items")
        return str(made["id"]), str(listed["data"][0]["id"])

    def unlike(self, text: str) -> str:
        self.seeded += 1
        return text if text == SLOW else f"{text} {self.seeded}"

    async def made(self, path: str, body: Json) -> Json:
        async with self.session.post(f"{self.upstream}/v1/{path}", json=body, headers=self.headers) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def got(self, path: str) -> Json:
        async with self.session.get(f"{self.upstream}/v1/{path}", headers=self.headers) as answer:
            answer.raise_for_status()
            return await answer.json()

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    async def relayed(self, request: web.Request, path: str, body: str) -> web.StreamResponse:
        told = {name: value for name, value in request.headers.items() if name.lower() in PASSED_ON} | self.headers
        url = f"{self.upstream}/v1{path}"
        async with self.session.request(request.method, url, data=body.encode() or None, headers=told) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            for name in ("x-request-id", "x-should-retry"):
                if name in answer.headers:
                    response.headers[name] = answer.headers[name]
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response

    async def open(self) -> None:
        self.session = ClientSession(timeout=ClientTimeout(total=None))


def put(body: str, alias: str, name: str) -> str:
    """Put a name in place of an alias, but not of the field that is called like it."""
    kept = body.replace(PARENT, "\0")
    return kept.replace(alias, name).replace("\0", PARENT)


PASSED_ON = ("content-type", "accept", "x-stainless-retry-count", "idempotency-key")


@asynccontextmanager
async def aliased(upstream: str, token: str) -> AsyncGenerator[str]:
    """Serve the relay on a free port; yield its address. The SDK's tests know no /v1 in paths: it is put in here."""
    relay = Aliases(upstream, token)
    await relay.open()
    try:
        async with served(handled_by(relay.handle)) as url:
            yield url
    finally:
        await relay.session.close()
