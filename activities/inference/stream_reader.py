"""How does an attempt read a backend's stream without waiting for it longer than it wants?"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_exponential

from clients.backends.port import AnswerEnd, BackendCall, BackendClient, BackendError, TextPiece, WithdrawableStream
from clients.clock import Clock
from domain.fleet.failure_classes import FailureKind

MAX_CONNECT_ATTEMPTS = 4
MAX_CONNECT_S = 2.0

UNFOLLOWED_S = 0.5
"""The words of an answer that nobody follows wait so long for more."""

WITHDRAW_S = 0.25
"""How long a withdrawn stream may take to end; after that its connection is cut."""


class StreamReader:
    """Reads a backend's stream in a task of its own. Leaving the context closes the connection.

    `opened_at` is when the backend accepted the request, `first_text_at` when its first words arrived; None until then.
    `was_cut` tells, after `stop`, whether the backend was still sending.
    """

    def __init__(self, backend: BackendClient, call: BackendCall, clock: Clock, *, is_followed: bool = True) -> None:
        self.backend = backend
        self.call = call
        self.is_followed = is_followed
        self.clock = clock
        self.opened_at: float | None = None
        self.first_text_at: float | None = None
        self.stream: AsyncIterator[TextPiece | AnswerEnd] | None = None
        self.was_cut = False
        self.pieces: list[TextPiece | AnswerEnd] = []
        self.has_news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> Sequence[TextPiece | AnswerEnd]:
        """End the stream and close its connection. Return the pieces that had arrived and were not taken.

        The request is withdrawn first, so that what the backend had sent by then is read too.
        """
        if self.is_open and isinstance(self.stream, WithdrawableStream):
            self.stream.withdraw()
            await asyncio.wait((self.task,), timeout=WITHDRAW_S)
        self.was_cut = self.is_open
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        untaken, self.pieces = self.pieces, []
        return untaken

    @property
    def is_open(self) -> bool:
        """Tell whether the backend may still send."""
        return not self.task.done()

    async def read(self) -> None:
        try:
            async for attempt in self.connection_attempts():
                with attempt:
                    async with self.backend.stream(self.call) as stream:
                        self.opened_at, self.stream = self.clock.now(), stream
                        self.has_news.set()
                        await self.read_pieces(stream)
        finally:
            self.has_news.set()

    def connection_attempts(self) -> AsyncRetrying:
        """Retry a refused connection for two seconds at most.

        A request that was sent is not retried here: the backend may have begun it, and it may cost money.
        """
        return AsyncRetrying(
            retry=retry_if_exception(is_connection_refused),
            stop=stop_after_attempt(MAX_CONNECT_ATTEMPTS) | stop_after_delay(MAX_CONNECT_S),
            wait=wait_exponential(multiplier=0.1, max=0.8),
            sleep=self.clock.sleep,
            reraise=True,
        )

    async def read_pieces(self, stream: AsyncIterator[TextPiece | AnswerEnd]) -> None:
        async for piece in stream:
            if self.first_text_at is None and isinstance(piece, TextPiece):
                self.first_text_at = self.clock.now()
            self.pieces.append(piece)
            self.has_news.set()

    async def take(self, *, within_s: float) -> Sequence[TextPiece | AnswerEnd]:
        """Return the pieces that have arrived; wait at most `within_s` seconds for the first. Raises BackendError.

        The first words of an answer that nobody follows wait for the next ones.
        """
        if not self.has_news.is_set():
            waiting = asyncio.ensure_future(self.has_news.wait())
            await asyncio.wait((waiting,), timeout=within_s)
            waiting.cancel()
        if self.pieces and not self.is_followed:
            await self.wait_for_end(within_s=UNFOLLOWED_S)
        taken, self.pieces = self.pieces, []
        if not taken and self.task.done():
            self.task.result()
        if not self.task.done():
            self.has_news.clear()
        return taken

    async def wait_for_end(self, *, within_s: float) -> None:
        """Return when the backend's stream has ended, or after `within_s` seconds."""
        await asyncio.wait((self.task,), timeout=within_s)


def is_connection_refused(error: BaseException) -> bool:
    return isinstance(error, BackendError) and error.failure.kind is FailureKind.REFUSED


def answer_end(pieces: Sequence[TextPiece | AnswerEnd]) -> AnswerEnd | None:
    return pieces[-1] if pieces and isinstance(pieces[-1], AnswerEnd) else None
