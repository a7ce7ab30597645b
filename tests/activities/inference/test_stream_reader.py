"""Is an answer taken in as it comes, is a failure told after what came before it, and is nothing left behind?"""

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from activities.inference.stream_reader import CONNECT_TRIES, StreamReader
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from domain.fleet.failure_classes import Failure, FailureKind
from domain.turns.response import Sampling
from tests.fakes.backends import FakeBackend, breaks, says
from tests.fakes.clocks import FakeClock

CALL = BackendCall(instructions=None, items=(), sampling=Sampling(), max_output_tokens=10)
LONG_S = 30.0


class Unreachable(FakeBackend):
    """Opens its stream after so many failures of a kind."""

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


def intake(backend: FakeBackend) -> StreamReader:
    return StreamReader(backend, CALL, FakeClock())


async def everything(taking: StreamReader) -> list[TextPiece | AnswerEnd]:
    """Return all pieces of an answer, up to its end."""
    pieces: list[TextPiece | AnswerEnd] = []
    while not (pieces and isinstance(pieces[-1], AnswerEnd)):
        pieces += await taking.take(within_s=LONG_S)
    return pieces


async def test_pieces_come_in_their_order_and_each_once() -> None:
    async with intake(FakeBackend(says("one two three"))) as taking:
        assert await everything(taking) == says("one two three")


async def test_what_has_arrived_is_taken_together() -> None:
    async with intake(FakeBackend(says("one two three"))) as taking:
        await taking.ended(within_s=LONG_S)
        assert await taking.take(within_s=LONG_S) == says("one two three")


async def test_a_pause_gives_nothing_within_its_time() -> None:
    goes_on = asyncio.Event()
    async with intake(FakeBackend([*says("one two")[:1], goes_on, *says("one two")[1:]])) as taking:
        first: list[TextPiece | AnswerEnd] = []
        while not first:
            first += await taking.take(within_s=LONG_S)
        assert await taking.take(within_s=0.02) == []
        goes_on.set()
        assert [*first, *await everything(taking)] == says("one two")


async def test_a_failure_comes_after_what_was_said_before_it() -> None:
    async with intake(FakeBackend(breaks("one two"))) as taking:
        await taking.ended(within_s=LONG_S)
        assert await taking.take(within_s=LONG_S) == says("one two")[:2]
        with pytest.raises(BackendError):
            await taking.take(within_s=LONG_S)
        with pytest.raises(BackendError):
            await taking.take(within_s=LONG_S)


async def test_leaving_lets_the_backend_go() -> None:
    fake = FakeBackend([*says("one")[:1], asyncio.Event()])
    async with intake(fake) as taking:
        await taking.take(within_s=LONG_S)
        assert fake.open == 1
    assert fake.open == 0


@pytest.mark.parametrize("waits", [0, 3])
async def test_a_failure_that_nobody_took_is_not_cried_out_by_the_loop(
    waits: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with intake(FakeBackend(breaks("one"))) as taking:
            for _ in range(waits):
                await asyncio.sleep(0)
        del taking
        gc.collect()
        await asyncio.sleep(0)
    assert [record for record in caplog.records if "never retrieved" in record.message] == []


async def test_a_connection_that_did_not_come_about_is_tried_again_a_few_times() -> None:
    late = Unreachable(CONNECT_TRIES - 1, FailureKind.REFUSED)
    async with intake(late) as taking:
        assert await everything(taking) == says("one")
    gone = Unreachable(CONNECT_TRIES, FailureKind.REFUSED)
    async with intake(gone) as taking:
        with pytest.raises(BackendError):
            await taking.take(within_s=LONG_S)
    assert (len(late.calls), len(gone.calls)) == (CONNECT_TRIES, CONNECT_TRIES)


async def test_what_was_sent_once_is_not_sent_again() -> None:
    kinds = (FailureKind.STATUS, FailureKind.RESET, FailureKind.CONNECT_TIMEOUT, FailureKind.HELD)
    for backend in (*(Unreachable(1, kind) for kind in kinds), FakeBackend(breaks("one"))):
        async with intake(backend) as taking:
            with pytest.raises(BackendError):
                await everything(taking)
        assert len(backend.calls) == 1
