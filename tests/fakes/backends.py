"""How does a scripted backend behave in tests?"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import httpx

from clients.backends.credentials import Credentials, NoCredentials
from clients.backends.http_backend import HttpBackend
from clients.backends.images import NoImages
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure, FailureKind
from domain.log.events import TokenUsage

type Act = TextPiece | AnswerEnd | Failure | asyncio.Event


def says(text: str, *, reason: Literal["stop", "length", "content_filter"] = "stop") -> list[Act]:
    """Return an answer with one piece for each word, which ends by itself (`stop`), at its limit or at a filter."""
    words = text.split(" ")
    pieces: list[Act] = [TextPiece(text=word if index == 0 else f" {word}") for index, word in enumerate(words)]
    usage = TokenUsage(input_tokens=7, output_tokens=len(words))
    return [*pieces, AnswerEnd(reason=reason, usage=usage)]


def interrupted(text: str, kind: FailureKind = FailureKind.RESET) -> list[Act]:
    """Return an answer that fails after a text."""
    return [*says(text)[:-1], Failure(kind=kind, text_received=bool(text))]


def rejects(status: int) -> list[Act]:
    return [Failure(kind=FailureKind.STATUS, status=status)]


class FakeBackend:
    """Plays one script for each call, then the last one again. A script waits for an Event that it contains."""

    def __init__(self, *scripts: Sequence[Act]) -> None:
        self.scripts = list(scripts)
        self.calls: list[BackendCall] = []
        self.open = 0

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        script = self.scripts[min(len(self.calls), len(self.scripts) - 1)]
        self.calls.append(call)
        self.open += 1
        try:
            yield self.play(script)
        finally:
            self.open -= 1

    async def authenticate(self) -> None:
        await asyncio.sleep(0)

    async def probe(self) -> None:
        await asyncio.sleep(0)

    async def play(self, script: Sequence[Act]) -> AsyncIterator[TextPiece | AnswerEnd]:
        for act in script:
            match act:
                case Failure():
                    raise BackendError(act)
                case asyncio.Event():
                    await act.wait()
                case _:
                    await asyncio.sleep(0)
                    yield act


def http_backend(
    backend: Backend, http: httpx.AsyncClient, *, silence_s: float, credentials: Credentials | None = None
) -> HttpBackend:
    """Return the client of a backend that loads no images, and that needs a token where `credentials` are given."""
    return HttpBackend(
        backend, http, silence_s=silence_s, credentials=credentials or NoCredentials(), images=NoImages()
    )
