"""Does the end of one turn wake the next one in line, and no timer?"""

import asyncio
from dataclasses import dataclass, field
from typing import override

import pytest

from clients.orchestrations import turn_wire
from domain.turns.response import Response
from tests.activities.cold_starts import Cluster, cluster_with, cold_of
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import LoopClock, SleepingGpu
from tests.fakes.orchestration import FakeOrchestrations, Run, TimedEvents
from tests.fakes.worlds import World

START_S = 20.0
WORDS, WORD_S = 31, 0.4
ANSWER_S = WORDS * WORD_S + 0.1
LATER_S = 11.0
LOOK_S = 0.06
"""What passes from the end of an answer to the next call: the stream is read at most so much later."""


class DeafHost(FakeOrchestrations):
    """Loses every event of a place."""

    @override
    async def signal_place(self, response_id: str, route: int) -> None:
        self.places.append((response_id, route))
        await asyncio.sleep(0)


@dataclass(slots=True)
class Line:
    """Turns that wait for one GPU, in processes that share a host and a store."""

    gpu: SleepingGpu
    cluster: Cluster = field(init=False)
    host: FakeOrchestrations = field(default_factory=FakeOrchestrations)

    def __post_init__(self) -> None:
        self.cluster = cluster_with(self.gpu, cold_of(START_S))

    def process(self, name: str) -> World[LoopClock]:
        world = self.cluster.new_process()
        world.orchestrations = self.host
        world.app.state.backend_states.process = name
        return world

    async def respond(self, response: Response, world: World[LoopClock]) -> None:
        events = self.host.boards[response.id] = TimedEvents(self.cluster.clock)
        run = Run(clock=self.cluster.clock, steps=world.steps, done=[], history=[], events=events)
        await run.respond(turn_wire(response))

    async def serve(self, turns: int, *worlds: World[LoopClock]) -> list[Response]:
        """Run turns one after another's admission, dealt out to processes."""
        responses: list[Response] = []
        tasks: list[asyncio.Task[None]] = []
        for number in range(turns):
            responses.append(await self.cluster.world.admit("hello"))
            tasks.append(asyncio.create_task(self.respond(responses[-1], worlds[number % len(worlds)])))
            await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
        await self.cluster.assert_answered(responses, " ".join(f"word{number}" for number in range(WORDS)))
        return responses


def gpu(*, room: int, start_s: float = START_S) -> SleepingGpu:
    return SleepingGpu(start_s=lambda: start_s, concurrency=room, words=WORDS, word_s=WORD_S)


def calls_after(line: Line, at: float) -> list[float]:
    """Return when the GPU got its requests after a time."""
    return [each for each in line.gpu.arrivals if each > at]


def test_the_end_of_a_turn_wakes_the_next_in_line() -> None:
    async def story() -> None:
        line = Line(gpu(room=1))
        await line.serve(4, line.process("one"))
        life = line.gpu.life
        assert life
        assert life.ready
        served = calls_after(line, life.ready)
        ends = [life.ready + ANSWER_S, *(at + ANSWER_S for at in served)]
        assert served == pytest.approx(ends[:-1], abs=LOOK_S)
        assert len(served) == 3

    in_no_time(story())


def test_turns_that_end_at_once_in_two_processes_wake_two() -> None:
    async def story() -> None:
        line = Line(gpu(room=2))
        await line.serve(6, line.process("one"), line.process("two"))
        life = line.gpu.life
        assert life
        assert life.ready
        served = calls_after(line, life.ready + 1)
        rounds = [life.ready + ANSWER_S] * 2 + [life.ready + 2 * ANSWER_S] * 2
        assert served == pytest.approx(rounds, abs=4 * LOOK_S)

    in_no_time(story())


def test_a_backend_that_comes_up_wakes_those_that_it_has_room_for() -> None:
    """It is up earlier than expected, and a turn that comes later sees that first."""

    async def story() -> None:
        line = Line(gpu(room=3, start_s=10.0))
        waiting = asyncio.create_task(line.serve(2, line.process("one")))
        await asyncio.sleep(LATER_S)
        assert len(line.gpu.arrivals) == 1
        await line.serve(1, line.process("two"))
        await waiting
        served = calls_after(line, LATER_S - LOOK_S)
        assert served == pytest.approx([LATER_S] * 3, abs=LOOK_S)

    in_no_time(story())


def test_a_lost_event_costs_time_and_no_answer() -> None:
    async def story() -> None:
        line = Line(gpu(room=1))
        line.host = DeafHost()
        await line.serve(4, line.process("one"))
        assert line.host.places

    in_no_time(story())
