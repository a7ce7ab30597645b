"""How do we stream an answer from a server that speaks OpenAI's Chat Completions?

Retries belong to the orchestration, so none happen here. A failure is reported as it was seen; what it means is decided
in `domain.postures`.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx

from clients.backends import BackendError, Call, End, Text
from domain.fleet import Backend, Continuation
from domain.items import Item, ItemKind, Role
from domain.log import Usage
from domain.postures import BODY_CHARACTERS, Failure, FailureKind

CONNECT_S = 10.0

ROLES: Mapping[Role, str] = {Role.DEVELOPER: "system"}

TRANSPORT_FAILURES: tuple[tuple[type[Exception], FailureKind], ...] = (
    (httpx.ConnectTimeout, FailureKind.CONNECT_TIMEOUT),
    (httpx.ConnectError, FailureKind.REFUSED),
    (httpx.TimeoutException, FailureKind.READ_TIMEOUT),
    (TimeoutError, FailureKind.READ_TIMEOUT),
    (httpx.TransportError, FailureKind.RESET),
)


class OpenAIBackend:
    """One backend. `silence_s` is the longest pause between two pieces of an answer."""

    def __init__(self, backend: Backend, http: httpx.AsyncClient, *, silence_s: float) -> None:
        self.backend = backend
        self.http = http
        self.silence_s = silence_s

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncGenerator[AsyncIterator[Text | End]]:
        body = request_body(self.backend, call)
        headers = {"accept": "text/event-stream"} | ({"traceparent": call.traceparent} if call.traceparent else {})
        url = f"{self.backend.url}/chat/completions"
        request = self.http.build_request("POST", url, json=body, headers=headers, timeout=timeouts())
        try:
            async with asyncio.timeout(self.backend.limits.request_timeout_s):
                response = await self.http.send(request, stream=True)
        except (httpx.HTTPError, TimeoutError) as error:
            raise BackendError(transport_failure(error, text_received=False)) from error
        try:
            yield self.pieces(response)
        finally:
            await response.aclose()

    async def pieces(self, response: httpx.Response) -> AsyncIterator[Text | End]:
        """Yield the answer's pieces; raises BackendError where it does not come to its end."""
        await refuse_failure(response, self.silence_s)
        answer = Answer()
        lines = response.aiter_lines()
        try:
            while (line := await self.next_line(lines, first=not answer.text_received)) is not None:
                if line == "data: [DONE]":
                    break
                if line.startswith("data:") and (text := answer.read(line[5:])):
                    yield Text(text=text)
        except (httpx.HTTPError, TimeoutError) as error:
            raise BackendError(transport_failure(error, text_received=answer.text_received)) from error
        yield answer.end()

    async def next_line(self, lines: AsyncIterator[str], *, first: bool) -> str | None:
        patience = self.backend.limits.request_timeout_s if first else self.silence_s
        async with asyncio.timeout(patience):
            return await anext(lines, None)


class Answer:
    """Reads the stream's frames and remembers what its end needs."""

    def __init__(self) -> None:
        self.text_received = False
        self.reason: str | None = None
        self.usage: Usage | None = None

    def read(self, data: str) -> str:
        """Take one frame and return its text."""
        try:
            text = self.read_frame(json.loads(data))
        except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
            raise BackendError(self.failure(FailureKind.BAD_FRAME, data)) from error
        self.text_received = self.text_received or bool(text)
        return text

    def read_frame(self, frame: dict[str, Any]) -> str:
        if "error" in frame:
            raise ValueError("the server reports an error in mid-stream")
        self.usage = usage_in(frame.get("usage")) or self.usage
        choices: list[dict[str, Any]] = frame.get("choices") or []
        if not choices:
            return ""
        self.reason = choices[0].get("finish_reason") or self.reason
        delta: dict[str, Any] = choices[0].get("delta") or {}
        return str(delta.get("content") or "")

    def end(self) -> End:
        if self.reason is None:
            raise BackendError(self.failure(FailureKind.TRUNCATED, ""))
        return End(reason="length" if self.reason == "length" else "stop", usage=self.usage)

    def failure(self, kind: FailureKind, body: str) -> Failure:
        return Failure(kind=kind, body=body[:BODY_CHARACTERS], text_received=self.text_received)


def timeouts() -> httpx.Timeout:
    """Bound the connecting alone; how long an answer may take is the backend's to say."""
    return httpx.Timeout(None, connect=CONNECT_S)


def request_body(backend: Backend, call: Call) -> dict[str, Any]:
    """Return the Chat Completions request of a call."""
    messages = [message(item) for item in call.items if item.kind is ItemKind.MESSAGE]
    if call.instructions:
        messages.insert(0, {"role": "system", "content": call.instructions})
    body: dict[str, Any] = {
        "model": backend.served_model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": call.max_output_tokens,
    }
    if call.sampling.temperature is not None:
        body["temperature"] = call.sampling.temperature
    if call.sampling.top_p is not None:
        body["top_p"] = call.sampling.top_p
    return body | partial_answer(backend, call, messages)


def partial_answer(backend: Backend, call: Call, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the fields that make the backend go on from what was shown."""
    if not call.partial:
        return {}
    going_on = {"messages": [*messages, {"role": "assistant", "content": call.partial}]}
    if backend.continues is Continuation.CONTINUE_FINAL_MESSAGE:
        going_on |= {"continue_final_message": True, "add_generation_prompt": False}
    return going_on


def message(item: Item) -> dict[str, Any]:
    return {"role": ROLES.get(item.role, item.role.value), "content": item.text}


def usage_in(counted: dict[str, Any] | None) -> Usage | None:
    if not counted:
        return None
    details: dict[str, Any] = counted.get("prompt_tokens_details") or {}
    return Usage(
        input_tokens=counted["prompt_tokens"],
        cached_tokens=details.get("cached_tokens") or 0,
        output_tokens=counted["completion_tokens"],
    )


async def refuse_failure(response: httpx.Response, patience_s: float) -> None:
    """Raise BackendError where the answer is no stream of events."""
    if response.is_success and "text/event-stream" in response.headers.get("content-type", ""):
        return
    wrong_type = response.is_success
    failure = Failure(
        kind=FailureKind.WRONG_CONTENT_TYPE if wrong_type else FailureKind.STATUS,
        status=response.status_code,
        headers=dict(response.headers),
        body=await beginning(response, patience_s),
    )
    raise BackendError(failure)


async def beginning(response: httpx.Response, patience_s: float) -> str:
    """Return the beginning of a body; what doesn't come in time is not waited for."""
    read = bytearray()
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(patience_s):
            async for chunk in response.aiter_bytes():
                read += chunk
                if len(read) >= BODY_CHARACTERS:
                    break
    return read[:BODY_CHARACTERS].decode(errors="replace")


def transport_failure(error: Exception, *, text_received: bool) -> Failure:
    kind = next((kind for cause, kind in TRANSPORT_FAILURES if isinstance(error, cause)), FailureKind.RESET)
    return Failure(kind=kind, text_received=text_received)
