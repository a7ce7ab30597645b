"""How do we stream an answer from a server that speaks OpenAI's Chat Completions?

Retries belong to the orchestration, so none happen here. A failure is reported as it was observed;
`domain.fleet.failure_classes` decides what it means.
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
"""Statuses of a server that is up but has no list of models."""

LAST_CHUNK_S = 0.05
"""How long to wait for the end of the body after the last frame. Only then can another call use the connection."""

TRANSPORT_FAILURES: tuple[tuple[type[Exception], FailureKind], ...] = (
    (httpx.ConnectTimeout, FailureKind.CONNECT_TIMEOUT),
    (httpx.ConnectError, FailureKind.REFUSED),
    (httpx.TimeoutException, FailureKind.READ_TIMEOUT),
    (TimeoutError, FailureKind.READ_TIMEOUT),
    (httpx.TransportError, FailureKind.RESET),
)


class OpenAIBackend:
    """A client of one backend.

    The first text may take the whole request timeout; `silence_s` limits each pause after it.
    """

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
        deadline = asyncio.get_running_loop().time() + self.backend.limits.request_timeout_s
        response = await self.send("POST", "chat/completions", deadline, headers=headers, json=body)
        try:
            await raise_for_failure(response, self.silence_s)
            async with aclosing(self.pieces(response, deadline)) as pieces:
                yield ChatStream(pieces, response)
        finally:
            await response.aclose()

    async def authenticate(self) -> None:
        await self.credentials.header(self.backend)

    async def probe(self) -> None:
        """Request the list of models. A server without such a list counts as up, too."""
        deadline = asyncio.get_running_loop().time() + self.backend.limits.request_timeout_s
        response = await self.send("GET", "models", deadline)
        try:
            if not response.is_success and response.status_code not in NO_MODEL_LIST:
                raise BackendError(await failure_of(response, self.silence_s))
        finally:
            await response.aclose()

    async def send(
        self, method: str, path: str, deadline: float, *, headers: Mapping[str, str] = NO_HEADERS, json: Any = None
    ) -> httpx.Response:
        """Return the response once its headers have arrived. Raises BackendError.

        `deadline` is in the event loop's time.
        """
        credentials = await self.credentials.header(self.backend)
        url = f"{self.backend.url}/{path}"
        request = self.http.build_request(
            method, url, json=json, headers={**credentials, **headers}, timeout=timeouts()
        )
        try:
            async with asyncio.timeout_at(deadline):
                response = await self.http.send(request, stream=True)
        except (httpx.HTTPError, TimeoutError) as error:
            raise BackendError(transport_failure(error, text_received=False)) from error
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self.credentials.rejected(self.backend)
        return response

    async def pieces(self, response: httpx.Response, deadline: float) -> AsyncGenerator[TextPiece | AnswerEnd]:
        """Yield the answer's pieces. Raises BackendError where the answer does not complete.

        `deadline` is when the first text must have arrived, in the event loop's time.
        """
        answer = ChatStreamParser(self.backend.finish_reasons)
        try:
            async with aclosing(self.frames(response, answer, deadline)) as frames:
                async for frame in frames:
                    if text := answer.read(frame):
                        yield TextPiece(text=text)
        except (httpx.HTTPError, TimeoutError) as error:
            if not answer.has_finish_reason:
                raise BackendError(transport_failure(error, text_received=answer.text_received)) from error
        yield answer.end()

    async def frames(
        self, response: httpx.Response, answer: ChatStreamParser, deadline: float
    ) -> AsyncGenerator[bytes]:
        """Yield the stream's frames. Comments, empty lines and frames without text do not extend the deadline."""
        chunks, decoder = response.aiter_bytes(), SseDecoder()
        while True:
            async with asyncio.timeout_at(deadline):
                chunk = await anext(chunks, None)
            for frame in frames_in(decoder, chunk, answer):
                if frame == DONE:
                    await read_to_end(chunks)
                    return
                yield frame
                if answer.text_received:
                    deadline = asyncio.get_running_loop().time() + self.silence_s
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


def frames_in(decoder: SseDecoder, chunk: bytes | None, answer: ChatStreamParser) -> list[bytes]:
    """Return the frames that a chunk completes; None stands for the end of the body."""
    try:
        return decoder.end() if chunk is None else decoder.feed(chunk)
    except ValueError as error:
        raise answer.malformed(chunk or b"") from error


def timeouts() -> httpx.Timeout:
    """Return timeouts that limit connecting only; the backend's own limits apply to the answer."""
    return httpx.Timeout(None, connect=CONNECT_S)


async def raise_for_failure(response: httpx.Response, wait_s: float) -> None:
    """Raise BackendError where the response is not an event stream."""
    if response.is_success and "text/event-stream" in response.headers.get("content-type", "").lower():
        return
    raise BackendError(await failure_of(response, wait_s))


async def failure_of(response: httpx.Response, wait_s: float) -> Failure:
    return Failure(
        kind=FailureKind.WRONG_CONTENT_TYPE if response.is_success else FailureKind.STATUS,
        status=response.status_code,
        headers=dict(response.headers),
        body=await body_beginning(response, wait_s),
    )


async def body_beginning(response: httpx.Response, wait_s: float) -> str:
    """Return the beginning of a body, or as much of it as arrives within `wait_s` seconds."""
    beginning = bytearray()
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(wait_s):
            async for chunk in response.aiter_bytes():
                beginning += chunk
                if len(beginning) >= BODY_CHARACTERS:
                    break
    return beginning[:BODY_CHARACTERS].decode(errors="replace")


def transport_failure(error: Exception, *, text_received: bool) -> Failure:
    kind = next((kind for cause, kind in TRANSPORT_FAILURES if isinstance(error, cause)), FailureKind.RESET)
    return Failure(kind=kind, text_received=text_received)
