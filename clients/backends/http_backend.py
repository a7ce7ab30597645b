"""How do we stream an answer from a model server over HTTP, whichever wire it speaks?

Retries belong to the orchestration, so none happen here. A failure is reported as it was observed;
`domain.fleet.failure_classes` decides what it means.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from copy import replace
from types import MappingProxyType
from typing import Any

import httpx

from clients.backends.credentials import Credentials, HttpCall
from clients.backends.formats.decoders import Decoder, StreamError
from clients.backends.images import ImageLoader, with_images
from clients.backends.observed_failures import (
    body_beginning,
    failure_of,
    rejects_credentials,
    stream_failure,
    transport_failure,
)
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from clients.backends.probe import address_of, failure_kind
from clients.backends.redirects import MOST_HOPS, result_address
from clients.backends.wires import AnswerParser, WrappingWire, wire_of
from clients.json_text import json_bytes
from clients.plain_answers import PLAIN, is_packed
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure, FailureKind
from domain.fleet.request_forms import ProbeBody

CONNECT_S = 10.0

DONE = b"[DONE]"

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

LAST_CHUNK_S = 0.05
"""How long to wait for the end of the body after the last frame. Only then can another call use the connection."""


class HttpBackend:
    """A client of one backend.

    The first text may take the whole request timeout; `silence_s` limits each pause after it.
    """

    def __init__(
        self,
        backend: Backend,
        http: httpx.AsyncClient,
        *,
        silence_s: float,
        credentials: Credentials,
        images: ImageLoader,
    ) -> None:
        self.backend = backend
        self.wire = wire_of(backend)
        self.http = http
        self.silence_s = silence_s
        self.credentials = credentials
        self.images = images

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        body = self.request_body(await with_images(call, self.backend, self.images))
        headers = {**self.wire.headers, **({"traceparent": call.traceparent} if call.traceparent else {})}
        deadline = asyncio.get_running_loop().time() + self.backend.limits.request_timeout_s
        response = await self.send("POST", self.wire.address, deadline, headers=headers, json=body)
        try:
            decoder = await self.decoder(response)
            async with aclosing(self.pieces(response, decoder, deadline)) as pieces:
                yield ChatStream(pieces, response)
        finally:
            await response.aclose()

    def request_body(self, call: BackendCall) -> Mapping[str, Any]:
        try:
            return self.wire.body(call)
        except ValueError as error:
            raise BackendError(Failure(kind=FailureKind.INEXPRESSIBLE)) from error

    async def authenticate(self) -> None:
        await self.credentials.header(self.backend, HttpCall(method="GET", url=self.backend.url))

    async def probe(self) -> None:
        """Send the probe of the backend's system. Only a status that it lists as `up` proves that the backend is up."""
        probe, deadline = self.backend.probe, asyncio.get_running_loop().time() + self.backend.limits.request_timeout_s
        body = self.wire.one_token() if probe.body is ProbeBody.CHAT else None
        response = await self.send(probe.method.value, address_of(self.wire.base, probe.path), deadline, json=body)
        try:
            status, beginning = await self.probed_status(response)
            if kind := failure_kind(probe, status):
                failure = await failure_of(response, self.silence_s, kind=kind, beginning=beginning)
                raise BackendError(replace(failure, status=status))
        finally:
            await response.aclose()

    async def probed_status(self, response: httpx.Response) -> tuple[int, str | None]:
        """Return the status of an answer to a probe, and the beginning of its body where that was needed for it."""
        if not isinstance(self.wire, WrappingWire) or not response.is_success:
            return response.status_code, None
        beginning = await body_beginning(response, self.silence_s)
        return self.wire.inner_status(response.headers, beginning) or response.status_code, beginning

    async def send(
        self, method: str, url: str, deadline: float, *, headers: Mapping[str, str] = NO_HEADERS, json: Any = None
    ) -> httpx.Response:
        """Return the response once its headers have arrived, after its 303s. Raises BackendError.

        `deadline` is in the event loop's time.
        """
        response = await self.send_once(method, url, deadline, headers=headers, json=json)
        for _ in range(MOST_HOPS):
            if (address := result_address(response)) is None:
                break
            await response.aclose()
            response = await self.send_once("GET", str(address), deadline, headers=headers)
        return response

    async def send_once(
        self, method: str, url: str, deadline: float, *, headers: Mapping[str, str], json: Any = None
    ) -> httpx.Response:
        content, headers = None if json is None else json_bytes(json), {**self.backend.headers, **headers, **PLAIN}
        request = self.http.build_request(method, url, content=content, headers=headers, timeout=timeouts())
        if content is not None:
            request.headers.setdefault("content-type", "application/json")
        call = HttpCall(method=method, url=str(request.url), body=request.content)
        request.headers.update(await self.credentials.header(self.backend, call))
        try:
            async with asyncio.timeout_at(deadline):
                response = await self.http.send(request, stream=True)
        except (httpx.HTTPError, TimeoutError) as error:
            raise BackendError(transport_failure(error, text_received=False)) from error
        if rejects_credentials(response):
            self.credentials.rejected(self.backend)
        return response

    async def decoder(self, response: httpx.Response) -> Decoder:
        """Return the decoder of an answer. Raises BackendError where the response is none."""
        is_readable = response.is_success and not is_packed(response)
        found = self.wire.decoder(response.headers) if is_readable else None
        if found is None:
            raise BackendError(await failure_of(response, self.silence_s))
        return found

    async def pieces(
        self, response: httpx.Response, decoder: Decoder, deadline: float
    ) -> AsyncGenerator[TextPiece | AnswerEnd]:
        """Yield the answer's pieces. Raises BackendError where the answer does not complete.

        `deadline` is when the first text must have arrived, in the event loop's time.
        """
        answer = self.wire.parser()
        try:
            async with aclosing(self.frames(response, decoder, answer, deadline)) as frames:
                async for frame in frames:
                    for piece in answer.read(frame):
                        yield piece
        except (httpx.HTTPError, TimeoutError) as error:
            if not answer.has_finish_reason:
                raise BackendError(transport_failure(error, text_received=answer.text_received)) from error
        yield answer.end()

    async def frames(
        self, response: httpx.Response, decoder: Decoder, answer: AnswerParser, deadline: float
    ) -> AsyncGenerator[bytes]:
        """Yield the stream's frames. Comments, empty lines and frames without text do not extend the deadline."""
        chunks = response.aiter_raw()
        while True:
            async with asyncio.timeout_at(deadline):
                chunk = await anext(chunks, None)
            for frame in frames_in(decoder, chunk, answer):
                if frame == DONE:
                    await read_to_end(chunks)
                    return
                yield frame
                if answer.is_over:
                    await read_to_end(chunks)
                    return
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


def frames_in(decoder: Decoder, chunk: bytes | None, answer: AnswerParser) -> list[bytes]:
    """Return the frames that a chunk completes; None stands for the end of the body."""
    try:
        return decoder.end() if chunk is None else decoder.feed(chunk)
    except ValueError as error:
        raise answer.malformed(chunk or b"") from error
    except StreamError as error:
        raise BackendError(stream_failure(error, text_received=answer.text_received)) from error


def timeouts() -> httpx.Timeout:
    """Return timeouts that limit connecting only; the backend's own limits apply to the answer."""
    return httpx.Timeout(None, connect=CONNECT_S)
