"""Is an answer read as it arrives, is a failure raised after the text before it, and is nothing left open?"""

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from activities.inference.stream_reader import MAX_CONNECT_ATTEMPTS, StreamReader
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from domain.fleet.failure_classes import Failure, FailureKind
from domain.turns.response import Sampling
from tests.fakes.backends import FakeBackend, interrupted, says
from tests.fakes.clocks import FakeClock

CALL = BackendCall(instructions=None, items=(), sampling=Sampling(), max_output_tokens=10)
LONG_S = 30.0


class Unreachable(FakeBackend):
    """Opens its stream after `failures` failures of one kind."""

    def __init__(self, failures: int, kind: FailureKind) -> None:
        super().__init__(says("one"))
        self.failures = failures
        self.kind = kind

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        if len(self.calls) < self.failures:
            self.calls.append(call)
            raise BackendError(Failure(kind=self.kind))
        async with super().stream(call) as pieces:
            yield pieces


def reader_of(backend: FakeBackend) -> StreamReader:
    return StreamReader(backend, CALL, FakeClock())


async def all_pieces(reader: StreamReader) -> list[TextPiece | AnswerEnd]:
    """Return all pieces of an answer, with its end."""
    pieces: list[TextPiece | AnswerEnd] = []
    while not (pieces and isinstance(pieces[-1], AnswerEnd)):
        pieces += await reader.take(within_s=LONG_S)
    return pieces


async def test_pieces_arrive_in_order_and_once() -> None:
    async with reader_of(FakeBackend(says("one two three"))) as reader:
        assert await all_pieces(reader) == says("one two three")


async def test_all_pieces_that_have_arrived_are_taken_together() -> None:
    async with reader_of(FakeBackend(says("one two three"))) as reader:
        await reader.wait_for_end(within_s=LONG_S)
        assert await reader.take(within_s=LONG_S) == says("one two three")


async def test_a_pause_gives_nothing_within_the_time_limit() -> None:
    resume = asyncio.Event()
    async with reader_of(FakeBackend([*says("one two")[:1], resume, *says("one two")[1:]])) as reader:
        first: list[TextPiece | AnswerEnd] = []
        while not first:
            first += await reader.take(within_s=LONG_S)
        assert await reader.take(within_s=0.02) == []
        resume.set()
        assert [*first, *await all_pieces(reader)] == says("one two")


async def test_a_failure_is_raised_after_the_text_before_it() -> None:
    async with reader_of(FakeBackend(interrupted("one two"))) as reader:
        await reader.wait_for_end(within_s=LONG_S)
        assert await reader.take(within_s=LONG_S) == says("one two")[:2]
        with pytest.raises(BackendError):
            await reader.take(within_s=LONG_S)
        with pytest.raises(BackendError):
            await reader.take(within_s=LONG_S)


async def test_leaving_the_context_closes_the_connection() -> None:
    fake = FakeBackend([*says("one")[:1], asyncio.Event()])
    async with reader_of(fake) as reader:
        await reader.take(within_s=LONG_S)
        assert fake.open == 1
    assert fake.open == 0


@pytest.mark.parametrize("waits", [0, 3])
async def test_a_failure_that_is_never_read_is_not_logged_by_the_event_loop(
    waits: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with reader_of(FakeBackend(interrupted("one"))) as reader:
            for _ in range(waits):
                await asyncio.sleep(0)
        del reader
        gc.collect()
        await asyncio.sleep(0)
    assert [record for record in caplog.records if "never retrieved" in record.message] == []


async def test_a_refused_connection_is_retried_a_few_times() -> None:
    late = Unreachable(MAX_CONNECT_ATTEMPTS - 1, FailureKind.REFUSED)
    async with reader_of(late) as reader:
        assert await all_pieces(reader) == says("one")
    gone = Unreachable(MAX_CONNECT_ATTEMPTS, FailureKind.REFUSED)
    async with reader_of(gone) as reader:
        with pytest.raises(BackendError):
            await reader.take(within_s=LONG_S)
    assert (len(late.calls), len(gone.calls)) == (MAX_CONNECT_ATTEMPTS, MAX_CONNECT_ATTEMPTS)


async def test_a_request_that_was_sent_is_not_sent_again() -> None:
    kinds = (FailureKind.STATUS, FailureKind.RESET, FailureKind.CONNECT_TIMEOUT, FailureKind.HELD)
    for backend in (*(Unreachable(1, kind) for kind in kinds), FakeBackend(interrupted("one"))):
        async with reader_of(backend) as reader:
            with pytest.raises(BackendError):
                await all_pieces(reader)
        assert len(backend.calls) == 1


class Withdrawn(FakeBackend):
    """Says three words, and the rest only when the request is withdrawn, if ever."""

    def __init__(self, rest: Sequence[str], *, ends: bool) -> None:
        super().__init__(says("one two three")[:3])
        self.rest = [TextPiece(text=word) for word in rest]
        self.ends = ends
        self.withdrawn = asyncio.Event()

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        async with super().stream(call) as pieces:
            yield WithdrawnStream(self, pieces)


class WithdrawnStream(AsyncIterator[TextPiece | AnswerEnd]):
    def __init__(self, backend: Withdrawn, pieces: AsyncIterator[TextPiece | AnswerEnd]) -> None:
        self.backend = backend
        self.pieces = pieces

    async def __anext__(self) -> TextPiece | AnswerEnd:
        if piece := await anext(self.pieces, None):
            return piece
        await self.backend.withdrawn.wait()
        if self.backend.rest:
            return self.backend.rest.pop(0)
        if not self.backend.ends:
            await asyncio.Event().wait()
        raise StopAsyncIteration

    def withdraw(self) -> None:
        self.backend.withdrawn.set()


async def test_a_stream_that_is_stopped_gives_what_was_not_taken() -> None:
    async with reader_of(FakeBackend(says("one two three"))) as reader:
        await reader.wait_for_end(within_s=LONG_S)
        assert await reader.stop() == says("one two three")
        assert not reader.was_cut
        assert await reader.stop() == []


async def test_a_stream_that_still_speaks_when_it_is_stopped_was_cut() -> None:
    backend = FakeBackend([*says("one two")[:2], asyncio.Event()])
    async with reader_of(backend) as reader:
        await reader.take(within_s=LONG_S)
        await reader.stop()
        assert reader.was_cut
    assert backend.open == 0


async def test_a_withdrawn_stream_is_read_to_what_the_backend_had_sent() -> None:
    backend = Withdrawn(["four", "five"], ends=True)
    async with reader_of(backend) as reader:
        taken = [*await reader.take(within_s=LONG_S)]
        assert [*taken, *await reader.stop()] == [
            *says("one two three")[:3],
            TextPiece(text="four"),
            TextPiece(text="five"),
        ]
        assert not reader.was_cut


async def test_a_withdrawn_stream_that_does_not_end_is_cut_all_the_same() -> None:
    backend = Withdrawn([], ends=False)
    async with reader_of(backend) as reader:
        await reader.take(within_s=LONG_S)
        await reader.stop()
        assert reader.was_cut
    assert backend.open == 0
