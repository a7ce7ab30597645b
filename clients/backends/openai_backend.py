"""How do we stream an answer from a server that speaks OpenAI's Chat Completions?

Retries belong to the orchestration, so none happen here. A failure is reported as it was seen; what it means is decided
in `domain.fleet.failure_classes`.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import httpx

from clients.backends.chat_request import request_body
from clients.backends.chat_stream import ChatStreamParser
from clients.backends.credentials import Credentials, NoCredentials
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from clients.backends.sse import SseDecoder
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import BODY_CHARACTERS, Failure, FailureKind

CONNECT_S = 10.0

DONE = b"[DONE]"

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
NO_MODEL_LIST = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
"""A server that answers so is up, and has no list of its models."""

LAST_CHUNK_S = 0.05
"""How long the end of the body is waited for after its last frame: then the connection serves another call."""

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
        self.credentials = credentials or NoCredentials()

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        body = request_body(self.backend, call)
        headers = {"accept": "text/event-stream"} | ({"traceparent": call.traceparent} if call.traceparent else {})
        until = asyncio.get_running_loop().time() + self.backend.limits.request_timeout_s
        response = await self.send("POST", "chat/completions", until, headers=headers, json=body)
        try:
            await raise_for_failure(response, self.silence_s)
            async with aclosing(self.pieces(response, until)) as pieces:
                yield ChatStream(pieces, response)
        finally:
            await response.aclose()

    async def authenticate(self) -> None:
        await self.credentials.header(self.backend)

    async def probe(self) -> None:
        """Ask which models there are; whatever the server itself says to that, it is up."""
        until = asyncio.get_running_loop().time() + self.backend.limits.request_timeout_s
        response = await self.send("GET", "models", until)
        try:
            if not response.is_success and response.status_code not in NO_MODEL_LIST:
                raise BackendError(await failure_of(response, self.silence_s))
        finally:
            await response.aclose()

    async def send(
        self, method: str, path: str, until: float, *, headers: Mapping[str, str] = NO_HEADERS, json: Any = None
    ) -> httpx.Response:
        """Return the beginning of the answer; `until` is in the event loop's time. Raises BackendError."""
        proof = await self.credentials.header(self.backend)
        url = f"{self.backend.url}/{path}"
        request = self.http.build_request(method, url, json=json, headers={**proof, **headers}, timeout=timeouts())
        try:
            async with asyncio.timeout_at(until):
                response = await self.http.send(request, stream=True)
        except (httpx.HTTPError, TimeoutError) as error:
            raise BackendError(transport_failure(error, text_received=False)) from error
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self.credentials.rejected(self.backend)
        return response

    async def pieces(self, response: httpx.Response, until: float) -> AsyncGenerator[TextPiece | AnswerEnd]:
        """Yield the answer's pieces; raises BackendError where it does not come to its end.

        `until` is when the first words must have come, in the event loop's time.
        """
        answer = ChatStreamParser()
        try:
            async with aclosing(self.frames(response, answer, until)) as frames:
                async for frame in frames:
                    if text := answer.read(frame):
                        yield TextPiece(text=text)
        except (httpx.HTTPError, TimeoutError) as error:
            if not answer.whole:
                raise BackendError(transport_failure(error, text_received=answer.text_received)) from error
        yield answer.end()

    async def frames(self, response: httpx.Response, answer: ChatStreamParser, until: float) -> AsyncGenerator[bytes]:
        """Yield the stream's frames. Comments and empty lines don't count as a sign of life."""
        chunks, lines = response.aiter_bytes(), SseDecoder()
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


class ChatStream(AsyncIterator[TextPiece | AnswerEnd]):
    """The pieces of one answer, whose request can be withdrawn."""

    def __init__(self, pieces: AsyncIterator[TextPiece | AnswerEnd], response: httpx.Response) -> None:
        self.pieces = pieces
        self.response = response

    async def __anext__(self) -> TextPiece | AnswerEnd:
        return await anext(self.pieces)

    def withdraw(self) -> None:
        """Shut down the sending half of the connection: the server sees that its caller has left, and stops."""
        network: Any = self.response.extensions.get("network_stream")
        connection = network.get_extra_info("socket") if network else None
        if connection:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)


async def read_to_end(chunks: AsyncIterator[bytes]) -> None:
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(LAST_CHUNK_S):
            async for _ in chunks:
                pass


def frames_in(lines: SseDecoder, chunk: bytes | None, answer: ChatStreamParser) -> list[bytes]:
    """Return the frames that a chunk, or (None) the end of the body, completes."""
    try:
        return lines.end() if chunk is None else lines.feed(chunk)
    except ValueError as error:
        raise answer.malformed(chunk or b"") from error


def timeouts() -> httpx.Timeout:
    """Bound the connecting alone; how long an answer may take is the backend's to say."""
    return httpx.Timeout(None, connect=CONNECT_S)


async def raise_for_failure(response: httpx.Response, patience_s: float) -> None:
    """Raise BackendError where the answer is no stream of events."""
    if response.is_success and "text/event-stream" in response.headers.get("content-type", "").lower():
        return
    raise BackendError(await failure_of(response, patience_s))


async def failure_of(response: httpx.Response, patience_s: float) -> Failure:
    return Failure(
        kind=FailureKind.WRONG_CONTENT_TYPE if response.is_success else FailureKind.STATUS,
        status=response.status_code,
        headers=dict(response.headers),
        body=await first_characters(response, patience_s),
    )


async def first_characters(response: httpx.Response, patience_s: float) -> str:
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
