"""How do we stream an answer from a server that speaks OpenAI's Chat Completions?

Retries belong to the orchestration, so none happen here. A failure is reported as it was seen; what it means is decided
in `domain.postures`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

import httpx

from clients.backends import BackendError, Call, End, Text
from clients.chat_answer import ChatAnswer
from clients.credentials.port import Anonymous, Credentials
from clients.event_frames import EventFrames
from domain.fleet import Backend, Continuation
from domain.items import Item, ItemKind, Role
from domain.postures import BODY_CHARACTERS, Failure, FailureKind

CONNECT_S = 10.0

DONE = b"[DONE]"

LAST_CHUNK_S = 0.05
"""How long the end of the body is waited for after its last frame: then the connection serves another call."""

ROLES: Mapping[Role, str] = {Role.DEVELOPER: "system"}

TRANSPORT_FAILURES: tuple[tuple[type[Exception], FailureKind], ...] = (
    (httpx.ConnectTimeout, FailureKind.CONNECT_TIMEOUT),
    (httpx.ConnectError, FailureKind.REFUSED),
    (httpx.TimeoutException, FailureKind.READ_TIMEOUT),
    (TimeoutError, FailureKind.READ_TIMEOUT),
    (httpx.TransportError, FailureKind.RESET),
)


class OpenAIBackend:
    """One backend. Its first words may take all of its request's time; `silence_s` bounds the pauses after them."""

    def __init__(
        self,
        backend: Backend,
        http: httpx.AsyncClient,
        *,
        silence_s: float,
        credentials: Credentials | None = None,
    ) -> None:
        self.backend = backend
        self.http = http
        self.silence_s = silence_s
        self.credentials = credentials or Anonymous()

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncGenerator[AsyncIterator[Text | End]]:
        body = request_body(self.backend, call)
        headers = {
            **await self.credentials.header(self.backend),
            "accept": "text/event-stream",
            **({"traceparent": call.traceparent} if call.traceparent else {}),
        }
        url = f"{self.backend.url}/chat/completions"
        request = self.http.build_request("POST", url, json=body, headers=headers, timeout=timeouts())
        until = asyncio.get_running_loop().time() + self.backend.limits.request_timeout_s
        try:
            async with asyncio.timeout_at(until):
                response = await self.http.send(request, stream=True)
        except (httpx.HTTPError, TimeoutError) as error:
            raise BackendError(transport_failure(error, text_received=False)) from error
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self.credentials.rejected(self.backend)
        try:
            async with aclosing(self.pieces(response, until)) as pieces:
                yield pieces
        finally:
            await response.aclose()

    async def pieces(self, response: httpx.Response, until: float) -> AsyncGenerator[Text | End]:
        """Yield the answer's pieces; raises BackendError where it does not come to its end.

        `until` is when the first words must have come, in the event loop's time.
        """
        await refuse_failure(response, self.silence_s)
        answer = ChatAnswer()
        try:
            async with aclosing(self.frames(response, answer, until)) as frames:
                async for frame in frames:
                    if text := answer.read(frame):
                        yield Text(text=text)
        except (httpx.HTTPError, TimeoutError) as error:
            if not answer.whole:
                raise BackendError(transport_failure(error, text_received=answer.text_received)) from error
        yield answer.end()

    async def frames(self, response: httpx.Response, answer: ChatAnswer, until: float) -> AsyncGenerator[bytes]:
        """Yield the stream's frames. Comments and empty lines don't count as a sign of life."""
        chunks, lines = response.aiter_bytes(), EventFrames()
        while True:
            async with asyncio.timeout_at(until):
                chunk = await anext(chunks, None)
            for frame in frames_in(lines, chunk, answer):
                if frame == DONE:
                    await read_to_end(chunks)
                    return
                yield frame
                if answer.text_received:
                    until = asyncio.get_running_loop().time() + self.silence_s
            if chunk is None:
                return


async def read_to_end(chunks: AsyncIterator[bytes]) -> None:
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(LAST_CHUNK_S):
            async for _ in chunks:
                pass


def frames_in(lines: EventFrames, chunk: bytes | None, answer: ChatAnswer) -> list[bytes]:
    """Return the frames that a chunk, or (None) the end of the body, completes."""
    try:
        return lines.end() if chunk is None else lines.feed(chunk)
    except ValueError as error:
        raise answer.garbled(chunk or b"") from error


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


async def refuse_failure(response: httpx.Response, patience_s: float) -> None:
    """Raise BackendError where the answer is no stream of events."""
    if response.is_success and "text/event-stream" in response.headers.get("content-type", "").lower():
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
