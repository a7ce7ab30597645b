"""Does the router plan with the time limits that the settings give an attempt?"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from copy import replace

from clients.backends.port import AnswerEnd, BackendCall, TextPiece
from domain.fleet.catalog import ContinuationMode
from domain.log.events import ResponseStatus, TokenUsage
from tests.activities.cold_starts import cold_gpu, cold_of
from tests.fakes.clocks import LoopClock, in_no_time
from tests.fakes.machines.gpus import SleepingGpu
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, SETTINGS, World, backend

WORDS = 1250
WORD_S = 0.04
"""The whole answer takes 50 s."""


class SlowWriter:
    """A backend that writes 25 words a second and stops at the limit of the call."""

    def __init__(self) -> None:
        self.calls: list[BackendCall] = []

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        self.calls.append(call)
        yield self.write(min(WORDS, call.max_output_tokens))

    async def write(self, words: int) -> AsyncIterator[TextPiece | AnswerEnd]:
        for number in range(words):
            await asyncio.sleep(WORD_S)
            yield TextPiece(text=f" word{number}")
        usage = TokenUsage(input_tokens=7, output_tokens=words)
        yield AnswerEnd(reason="stop" if words == WORDS else "length", usage=usage)

    async def authenticate(self) -> None:
        await asyncio.sleep(0)

    async def probe(self) -> None:
        await asyncio.sleep(0)


def test_an_answer_that_no_attempt_can_finish_is_cut_once_where_the_backend_cannot_continue() -> None:
    async def story() -> None:
        clock, writer = LoopClock(), SlowWriter()
        world = World(
            store=MemoryStore(clock),
            clock=clock,
            backends={"main": (backend("main", ContinuationMode.NO), writer)},
            settings=replace(SETTINGS, handover_s=10),
        )
        response = await world.admit("count", max_output_tokens=WORDS)
        await world.run(response)
        log = await world.log(response)
        assert log.status is ResponseStatus.INCOMPLETE
        assert log.ending
        assert log.ending.code == "max_output_tokens"
        assert len(writer.calls) == 1
        assert writer.calls[0].max_output_tokens < WORDS
        assert len(await world.ledger.attempts(OWNER, response.id)) == 1

    in_no_time(story())


def test_an_attempt_may_run_for_as_long_as_its_request_may_be_held() -> None:
    async def story() -> None:
        clock, gpu = LoopClock(), SleepingGpu(start_s=lambda: 90.0)
        world = World(
            store=MemoryStore(clock),
            clock=clock,
            backends={"gpu": (cold_gpu(cold_of(90.0)), gpu)},
            settings=replace(SETTINGS, hold_s=120),
        )
        response = await world.admit("hello")
        await world.run(response)
        log = await world.log(response)
        assert log.status is ResponseStatus.COMPLETED
        attempts = await world.ledger.attempts(OWNER, response.id)
        assert [(attempt.number, attempt.progress.result) for attempt in attempts if attempt.number] == [(1, "done")]

    in_no_time(story())
