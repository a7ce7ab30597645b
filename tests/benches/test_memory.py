"""Does a GPU whose KV memory is known throw no request out, and do its turns wait less?"""

import asyncio
from collections.abc import Sequence
from copy import replace

from benches.routing.cells import SPEED
from benches.routing.extras.memory import cells, measured
from benches.tables import percentile
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.paged_engine import BLOCK_TOKENS, HALF_LOAD, PagedEngine

REQUESTS = 80


def test_a_burst_waits_in_line_or_goes_to_the_api_instead_of_being_computed_twice() -> None:
    cell = next(iter(cells(REQUESTS)))
    by_number, thrown_out = measured(cell)
    by_memory, never = measured(replace(cell, knows_memory=True))
    assert thrown_out > 0
    assert never == 0
    assert (by_number.misses, by_memory.misses) == (0, 0)
    assert percentile(by_memory.waits_s, 0.9) < percentile(by_number.waits_s, 0.9)
    assert by_memory.ledger_usd > 0


async def served(requests: Sequence[tuple[int, int]], tokens: int) -> tuple[PagedEngine, Sequence[float]]:
    engine, loop = PagedEngine(tokens=tokens, speed=SPEED), asyncio.get_running_loop()

    async def one(prompt: int, wanted: int) -> float:
        sequence = engine.add(prompt, wanted)
        await sequence.done
        engine.drop(sequence)
        return loop.time()

    return engine, await asyncio.gather(*(one(*each) for each in requests))


def test_the_engine_writes_more_slowly_beside_others() -> None:
    _, (alone,) = in_no_time(served([(160, 600)], 100_000))
    _, beside = in_no_time(served([(160, 600)] * (1 + HALF_LOAD), 100_000))
    assert 1.9 * alone < max(beside) < 2.1 * alone + 1


def test_the_engine_throws_the_last_request_out_where_answers_need_more_blocks_than_there_are() -> None:
    engine, _ = in_no_time(served([(800, 400)] * 2, 2000))
    assert engine.preempted > 0
    assert engine.most <= 2000 // BLOCK_TOKENS
    roomy, _ = in_no_time(served([(800, 400)] * 2, 2432))
    assert roomy.preempted == 0


def test_the_engine_admits_requests_in_their_order() -> None:
    engine, ends = in_no_time(served([(1600, 100), (1600, 100), (16, 100)], 2400))
    assert ends[0] < ends[1] <= ends[2]
    assert engine.preempted == 0
