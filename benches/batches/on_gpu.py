"""What does a line cost of a batch for which a GPU is started, beside the least that its GPU can cost?

The whole product runs in virtual time over a GPU that scales to zero: 60 s of a start, 600 s of an idle period, eight
answers at once in 3.2 s each. The cost is that of the ledger once the session is closed, without the store and the
functions.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple, override

from benches.tables import print_table
from domain.batches.batch import Batch, BatchRequest
from domain.batches.line_ids import batch_id
from domain.money.ledger_records import NANOS
from domain.money.usage import COST, grouped
from state.files.upload import FileUpload
from tests.activities.cold_starts import cluster_with, cold_of
from tests.domain.fleets import GPU
from tests.fakes.batches import BatchRun
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import LoopClock, SleepingGpu
from tests.fakes.worlds import OWNER, World

LINES: Final = 1000
START_S: Final = 60.0
IDLE_S: Final = 600.0
WORDS: Final = 15
WORD_S: Final = 0.2
PLACES: Final = 8
ANSWER_S: Final = WORD_S * (WORDS + 1)
TURNS_BEFORE: Final = 20
"""So many turns have taught how fast the GPU is."""

WINDOW_S: Final = 6 * 3600.0
LIMIT: Final = 1.05


@dataclass(slots=True, kw_only=True, eq=False)
class TimedGpu(SleepingGpu):
    """Adds up the seconds in which it works on at least one request."""

    worked_s: float = 0.0
    at_work: int = 0
    since: float = 0.0

    @override
    @asynccontextmanager
    async def request(self) -> AsyncGenerator[None]:
        async with SleepingGpu.request(self):
            self.since = self.since if self.at_work else self.now
            self.at_work += 1
            try:
                yield
            finally:
                self.at_work -= 1
                self.worked_s += 0.0 if self.at_work else self.now - self.since


class LineCost(NamedTuple):
    """The dollars of a line by the ledger, the seconds of the GPU at work, and how often it was started."""

    dollars: Decimal
    worked_s: float
    starts: int

    @property
    def ratio(self) -> float:
        """The cost as a multiple of start, work and idle period."""
        return float(self.dollars * LINES / per_second()) / (START_S + self.worked_s + IDLE_S)


def per_second() -> Decimal:
    return GPU.amount / GPU.per_s


def line(number: int) -> bytes:
    body = {"model": "model", "input": f"line {number}", "max_output_tokens": 64}
    whole = {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/responses", "body": body}
    return f"{json.dumps(whole)}\n".encode()


async def batch_of(world: World[LoopClock]) -> Batch:
    upload = FileUpload(world.app.state.files, OWNER)
    for number in range(LINES):
        await upload.add(line(number))
    stored = await upload.complete(filename="in.jsonl", purpose="batch", keep_s=None)
    request = BatchRequest(endpoint="/v1/responses", input_file=stored.id, metadata={}, window_s=WINDOW_S)
    batch = Batch(id=batch_id(world.clock.token()), owner=OWNER, created_at=world.clock.now(), request=request)
    return await world.app.state.batches.create(batch)


async def measured() -> LineCost:
    gpu = TimedGpu(
        start_s=lambda: START_S, concurrency=PLACES, words=WORDS, word_s=WORD_S, first_word_s=WORD_S, idle_s=IDLE_S
    )
    cluster = cluster_with(gpu, cold_of(START_S))
    world = cluster.world
    for number in range(TURNS_BEFORE):
        await cluster.run([await world.admit(f"turn {number}", thread=world.clock.token(), max_output_tokens=64)])
    await asyncio.sleep(2 * IDLE_S)
    gpu.worked_s, before = 0.0, len(gpu.lives)
    batch = await batch_of(world)
    await BatchRun(world).run(batch)
    await asyncio.sleep(2 * IDLE_S)
    await close_sessions(world)
    state = world.app.state
    done = await state.batches.read(OWNER, batch.id)
    assert done.totals.completed == LINES, done.status
    rows = await state.usage_rows.of_owner(OWNER, first="2027-01-01", last="2027-12-31")
    (found,) = grouped(rows, ("batch",))
    return LineCost(Decimal(found.counts[COST]) / NANOS / LINES, gpu.worked_s, len(gpu.lives) - before)


async def close_sessions(world: World[Any]) -> None:
    billing = world.app.state.gpu_session_billing
    for session in await billing.finished_sessions():
        await billing.close(session)
    for session in await billing.unposted_sessions():
        await billing.post(session)


def print_on_gpu() -> None:
    """Print the cost of a line, and its ratio to what the GPU costs at least."""
    found = in_no_time(measured())
    all_places = START_S + LINES * ANSWER_S / PLACES + IDLE_S
    full = float(found.dollars * LINES / per_second()) / all_places
    rows = [
        ("dollars for each line", f"{found.dollars:.9f}"),
        ("starts of the GPU", f"{found.starts}"),
        (
            f"cost ÷ (start + {found.worked_s:.0f} s of work + idle period), limit {LIMIT}",
            f"{found.ratio:.3f}",
        ),
        ("cost ÷ the same, with all places in use all the time", f"{full:.3f}"),
    ]
    print_table((f"{LINES:,} lines on a GPU that is started for them", "figure"), rows)
    print()
