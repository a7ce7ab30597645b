"""Do turns wait in line for the KV memory of a GPU, and does its engine then never throw one out?"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from copy import replace
from dataclasses import dataclass
from random import Random
from typing import Any, override

import pytest

from clients.backends.port import AnswerEnd, BackendCall, TextPiece
from domain.turns.response import Response
from tests.activities.cold_starts import Cluster, cold_gpu, cold_of
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import SleepingGpu
from tests.fakes.worlds import OWNER

PLACES = 8
TWO_TURNS = 1300
"""Memory for two turns: each reads less than 100 tokens and reserves 512, and 400 where the length is learned."""

WORDS = 400
ANSWER = " ".join(f"word{number}" for number in range(WORDS))


@dataclass(slots=True, kw_only=True, eq=False)
class WatchedGpu(SleepingGpu):
    """A GPU that keeps how many requests it has answered at once, at most."""

    most: int = 0

    @override
    async def speak(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
        self.most = max(self.most, self.busy)
        async for piece in SleepingGpu.speak(self, call):
            yield piece


def cluster_of(gpu: WatchedGpu, kv_tokens: int | None) -> Cluster:
    backend = cold_gpu(cold_of(1.0), concurrency=PLACES)
    return Cluster(backends={"gpu": (replace(backend, limits=replace(backend.limits, kv_tokens=kv_tokens)), gpu)})


def watched(*, words: int = WORDS) -> WatchedGpu:
    return WatchedGpu(start_s=lambda: 1.0, concurrency=PLACES, words=words, word_s=0.02)


async def admitted(cluster: Cluster, count: int) -> Sequence[Response]:
    return [await cluster.world.admit(f"hello {number}", deadline_s=3600) for number in range(count)]


async def most_at_once(kv_tokens: int | None) -> int:
    gpu = watched()
    cluster = cluster_of(gpu, kv_tokens)
    (first,) = await admitted(cluster, 1)
    await cluster.run([first])
    responses = await admitted(cluster, 6)
    await cluster.run(responses)
    await cluster.assert_answered(responses, ANSWER)
    states = await cluster.world.app.state.backend_states.read(cluster.world.fleet.backends)
    assert states["gpu"].load.claimed(cluster.clock.now(), unknown=1) == 0
    return gpu.most


@pytest.mark.parametrize(
    ("kv_tokens", "at_once"), [(None, 6), (TWO_TURNS, 2), pytest.param(100_000, 6, marks=pytest.mark.slow)]
)
def test_no_more_turns_run_than_there_is_memory_for(kv_tokens: int | None, at_once: int) -> None:
    assert in_no_time(most_at_once(kv_tokens)) == at_once


async def through_kills(seed: int) -> int:
    random, gpu = Random(seed), watched()  # noqa: S311 - a test must repeat
    cluster = cluster_of(gpu, TWO_TURNS)
    responses = await admitted(cluster, 6)
    await cluster.run(responses, kills=sorted(random.uniform(1, 40) for _ in range(2)))
    await cluster.assert_answered(responses, ANSWER)
    states = await cluster.world.app.state.backend_states.read(cluster.world.fleet.backends)
    assert states["gpu"].load.claimed(cluster.clock.now(), unknown=1) == 0
    return gpu.most


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_memory_of_turns_whose_process_dies_is_neither_lost_nor_given_twice(seed: int) -> None:
    assert in_no_time(through_kills(seed)) <= 2


async def a_turn_that_came_too_late() -> tuple[Sequence[str], str]:
    """Let another process claim the memory between a turn's route and its attempt."""
    gpu = watched(words=4)
    cluster = cluster_of(gpu, TWO_TURNS)
    (first,) = await admitted(cluster, 1)
    await cluster.run([first])
    states, backend = cluster.world.app.state.backend_states, cluster.world.fleet.backends["gpu"]
    steps = cluster.world.steps

    async def late(request: Any) -> Any:
        if request["attempt"] == 1:
            until = cluster.clock.now() + 5
            await states.record_start(backend, "attempt_other_001", until=until, claim=TWO_TURNS)
        return await steps["infer"](request)

    cluster.world.steps = {**steps, "infer": late}
    (response,) = await admitted(cluster, 1)
    await cluster.run([response])
    await cluster.assert_answered([response])
    attempts = await cluster.world.ledger.attempts(OWNER, response.id)
    routes = await cluster.world.turns.routes(OWNER, response.id)
    waits = [each["route"]["wait"]["reason"] for each in routes if each["route"]["wait"]]
    assert [each.is_open for each in attempts] == [False, False]
    return [each.progress.result for each in attempts], waits[0]


def test_an_attempt_whose_memory_another_one_has_taken_is_routed_again_and_waits() -> None:
    results, waited_for = in_no_time(a_turn_that_came_too_late())
    assert results == ["handover", "done"]
    assert "out of KV memory" in waited_for


async def promises() -> Sequence[bool]:
    """Route turns at once, before any of them runs."""
    cluster = cluster_of(watched(), TWO_TURNS)
    (first,) = await admitted(cluster, 1)
    await cluster.run([first])
    responses = await admitted(cluster, 4)
    await asyncio.gather(*(cluster.respond(response) for response in responses))
    found = [await cluster.world.ledger.attempts(OWNER, response.id) for response in responses]
    return [len(attempts) == 1 for attempts in found]


def test_turns_that_are_routed_at_once_are_not_promised_the_same_memory() -> None:
    assert in_no_time(promises()) == [True] * 4
