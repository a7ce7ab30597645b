"""How does a backend behave when a test tells it to?"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from domain.fleet.failure_classes import Failure, FailureKind
from domain.log.events import TokenUsage

type Act = TextPiece | AnswerEnd | Failure | asyncio.Event


def says(text: str, *, reason: Literal["stop", "length", "content_filter"] = "stop") -> list[Act]:
    """Return an answer, a word a piece, that ends by itself (`stop`), at its limit (`length`) or at a filter."""
    words = text.split(" ")
    pieces: list[Act] = [TextPiece(text=word if index == 0 else f" {word}") for index, word in enumerate(words)]
    usage = TokenUsage(input_tokens=7, output_tokens=len(words))
    return [*pieces, AnswerEnd(reason=reason, usage=usage)]


def breaks(text: str, kind: FailureKind = FailureKind.RESET) -> list[Act]:
    """Return an answer that breaks off after a text."""
    return [*says(text)[:-1], Failure(kind=kind, text_received=bool(text))]


def refuses(status: int) -> list[Act]:
    return [Failure(kind=FailureKind.STATUS, status=status)]


class FakeBackend:
    """Plays one script a call, the last one again and again; an Event in a script is waited for."""

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
