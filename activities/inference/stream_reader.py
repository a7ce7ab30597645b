"""How does an attempt take in an answer at the backend's pace and look up from it at its own?"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_exponential

from clients.backends.port import AnswerEnd, BackendCall, BackendClient, BackendError, TextPiece
from clients.clock import Clock
from domain.fleet.failure_classes import FailureKind

CONNECT_TRIES = 4
CONNECT_S = 2.0


class StreamReader:
    """Reads a backend's stream in a task of its own; leaving the context closes the connection."""

    def __init__(self, backend: BackendClient, call: BackendCall, clock: Clock) -> None:
        self.backend = backend
        self.call = call
        self.clock = clock
        self.opened_at: float | None = None
        self.pieces: list[TextPiece | AnswerEnd] = []
        self.arrived = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def read(self) -> None:
        try:
            async for attempt in self.connecting():
                with attempt:
                    async with self.backend.stream(self.call) as stream:
                        self.opened_at = self.clock.now()
                        self.arrived.set()
                        await self.read_all(stream)
        finally:
            self.arrived.set()

    def connecting(self) -> AsyncRetrying:
        """Try again, for two seconds at most, what never became a connection.

        What broke after it was sent may have been begun, and paid for: only another attempt sends it again.
        """
        return AsyncRetrying(
            retry=retry_if_exception(never_sent),
            stop=stop_after_attempt(CONNECT_TRIES) | stop_after_delay(CONNECT_S),
            wait=wait_exponential(multiplier=0.1, max=0.8),
            sleep=self.clock.sleep,
            reraise=True,
        )

    async def read_all(self, stream: AsyncIterator[TextPiece | AnswerEnd]) -> None:
        async for piece in stream:
            self.pieces.append(piece)
            self.arrived.set()

    async def take(self, *, within_s: float) -> Sequence[TextPiece | AnswerEnd]:
        """Return what has arrived, waiting at most `within_s` seconds for something. Raises what the backend raised."""
        if not self.arrived.is_set():
            waiting = asyncio.ensure_future(self.arrived.wait())
            await asyncio.wait((waiting,), timeout=within_s)
            waiting.cancel()
        taken, self.pieces = self.pieces, []
        if not taken and self.task.done():
            self.task.result()
        if not self.task.done():
            self.arrived.clear()
        return taken

    async def ended(self, *, within_s: float) -> None:
        """Return when the backend's stream has ended, or after `within_s` seconds."""
        await asyncio.wait((self.task,), timeout=within_s)


def never_sent(error: BaseException) -> bool:
    return isinstance(error, BackendError) and error.failure.kind is FailureKind.REFUSED
