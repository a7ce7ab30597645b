"""Do the lines of batches share one start of a cold GPU, in virtual time, after every turn that somebody waits for?"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from copy import replace
from typing import Any

import pytest

from activities.maintenance.batch_sweep import BatchSweep
from activities.routing.warm_up import BackendWarmer
from clients.backends.port import BackendClient
from domain.batches.batch import Batch, BatchRequest, BatchStatus
from domain.batches.batch_wire import BatchWire
from domain.batches.line_ids import batch_id
from domain.batches.start_time import ALONE
from domain.fleet.catalog import Backend
from domain.money.prices import TokenPrice
from domain.money.usage import grouped
from state.files.upload import FileUpload
from state.money.usage_rows import UsageRows
from tests.activities.cold_starts import EXPENSIVE, Cluster, cluster_with, cold_gpu, cold_of, kill
from tests.domain.fleets import GPU as GPU_PRICE
from tests.fakes.backends import FakeBackend, says
from tests.fakes.batches import BatchRun
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import LoopClock, SleepingGpu
from tests.fakes.orchestration import FakeOrchestrations
from tests.fakes.worlds import OWNER, PRICE, World, backend

START_S = 60.0
HOUR = 3600.0


def line(number: int) -> bytes:
    body = {"model": "model", "input": f"line {number}", "max_output_tokens": 64}
    whole = {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/responses", "body": body}
    return f"{json.dumps(whole)}\n".encode()


async def batch_of(world: World[LoopClock], lines: int, *, window_s: float) -> Batch:
    upload = FileUpload(world.app.state.files, OWNER)
    await upload.add(b"".join(line(number) for number in range(lines)))
    stored = await upload.complete(filename=f"{world.clock.token()}.jsonl", purpose="batch", keep_s=None)
    request = BatchRequest(endpoint="/v1/responses", input_file=stored.id, metadata={}, window_s=window_s)
    batch = Batch(id=batch_id(world.clock.token()), owner=OWNER, created_at=world.clock.now(), request=request)
    return await world.app.state.batches.create(batch)


async def run(world: World[LoopClock], batch: Batch) -> Batch:
    await BatchRun(world).run(batch)
    return await world.app.state.batches.read(OWNER, batch.id)


def gpu() -> SleepingGpu:
    return SleepingGpu(start_s=lambda: START_S)


def alone(service: SleepingGpu) -> Cluster:
    return cluster_with(service, cold_of(START_S))


def beside_an_api(service: SleepingGpu, price: TokenPrice = PRICE) -> Cluster:
    api = replace(backend("api"), price=price)
    return cluster_with(service, cold_of(START_S), api=(api, FakeBackend(says("from the API"))))


def plays(story: Callable[[], Awaitable[None]]) -> None:
    async def played() -> None:
        await story()

    in_no_time(played())


def test_two_batches_and_turns_share_one_start_and_the_turns_come_first() -> None:
    async def story() -> None:
        service = gpu()
        cluster = alone(service)
        world = cluster.world
        batches = [await batch_of(world, 12, window_s=600) for _ in range(2)]
        running = [asyncio.create_task(run(world, batch)) for batch in batches]
        await asyncio.sleep(600 - 1.5 * (START_S + 12) + START_S / 2)
        turns = [await world.admit(f"turn {number}", thread=world.clock.token()) for number in range(8)]
        await cluster.run(turns)
        assert [each.status for each in await asyncio.gather(*running)] == [BatchStatus.COMPLETED] * 2
        assert len(service.lives) == 1
        first = [text for text in service.admitted if text.startswith("turn")]
        assert len(first) == 8
        assert service.admitted.index(first[-1]) < 16

    plays(story)


LONG_START_S = 300.0


async def killed_within(run: Coroutine[Any, Any, Any], seconds: float) -> None:
    """Run a process, and kill it after some seconds."""
    task = asyncio.create_task(run)
    await asyncio.wait([task], timeout=seconds)
    assert not task.done()
    await kill([task])


@pytest.mark.slow
@pytest.mark.parametrize("kills", [(30.0,), (150.0,), (290.0,), (60.0, 60.0, 60.0)])
def test_a_batch_whose_process_is_killed_in_the_middle_of_a_long_start_has_one_warm_up(kills: Sequence[float]) -> None:
    async def story() -> None:
        service = SleepingGpu(start_s=lambda: LONG_START_S)
        cluster = cluster_with(service, cold_of(LONG_START_S))
        batch = await batch_of(cluster.world, 30, window_s=HOUR)
        latest = batch.expires_at - 1.5 * (LONG_START_S + 30)
        waited = BatchRun(cluster.world).run(batch)
        await killed_within(waited, latest - cluster.world.clock.now() + kills[0])
        for seconds in kills[1:]:
            cluster.world = cluster.new_process()
            await killed_within(BatchRun(cluster.world).run(batch), seconds)
        cluster.world = cluster.new_process()
        done = await run(cluster.world, batch)
        assert (done.status, done.totals.completed) == (BatchStatus.COMPLETED, 30)
        assert (len(service.lives), len(service.admitted)) == (1, 30)
        assert await sessions_of(cluster.world) == {batch.id: (30, 1, 29)}

    plays(story)


def test_a_batch_waits_for_its_latest_start_and_ends_within_its_window() -> None:
    async def story() -> None:
        service = gpu()
        world = alone(service).world
        batch = await batch_of(world, 20, window_s=HOUR)
        begun = asyncio.get_running_loop().time()
        done = await run(world, batch)
        assert (done.status, done.totals.completed) == (BatchStatus.COMPLETED, 20)
        assert service.lives[0].started - begun > HOUR / 2
        start = await world.app.state.batches.starts.read(batch)
        assert start is not None
        assert (start.decision.backend, start.looks) == ("gpu", 1)
        assert world.clock.now() < batch.expires_at

    plays(story)


async def sessions_of(world: World[LoopClock]) -> dict[str, tuple[int, ...]]:
    """Return the items, warm-ups and joins of each batch."""
    rows = await UsageRows(world.store).of_owner(OWNER, first="2027-01-01", last="2027-12-31")
    names = ("items", "warm_ups", "joins")
    return {each.dimensions["batch"]: tuple(each.counts[name] for name in names) for each in grouped(rows, ("batch",))}


def test_the_usage_says_which_batch_has_sent_the_warm_up_and_how_many_lines_shared_it() -> None:
    async def story() -> None:
        world = alone(gpu()).world
        batch = await batch_of(world, 5, window_s=HOUR)
        await run(world, batch)
        assert await sessions_of(world) == {batch.id: (5, 1, 4)}

    plays(story)


def test_a_line_whose_call_reaches_the_cold_gpu_before_any_warm_up_has_started_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def overtaken(*_: object, **__: object) -> bool:
        return False

    async def story() -> None:
        world = alone(gpu()).world
        batch = await batch_of(world, 5, window_s=HOUR)
        await run(world, batch)
        assert await sessions_of(world) == {batch.id: (5, 1, 4)}

    monkeypatch.setattr(BackendWarmer, "warm_up", overtaken)
    plays(story)


def test_a_batch_joins_a_gpu_that_is_warm_and_starts_none() -> None:
    async def story() -> None:
        service = gpu()
        cluster = alone(service)
        world = cluster.world
        await cluster.run([await world.admit("first")])
        batch = await batch_of(world, 10, window_s=HOUR)
        done = await run(world, batch)
        assert await sessions_of(world) == {batch.id: (10, 0, 10)}
        assert (done.status, done.totals.completed) == (BatchStatus.COMPLETED, 10)
        assert len(service.lives) == 1
        assert world.clock.now() < done.created_at + 120

    plays(story)


def test_few_lines_at_their_latest_start_go_to_a_cheap_api() -> None:
    async def story() -> None:
        service = gpu()
        world = beside_an_api(service).world
        done = await run(world, await batch_of(world, 5, window_s=HOUR))
        assert (done.status, done.totals.completed, service.lives) == (BatchStatus.COMPLETED, 5, [])

    plays(story)


@pytest.mark.slow
def test_lines_that_pay_for_a_start_prefer_the_gpu() -> None:
    async def story() -> None:
        service = gpu()
        world = beside_an_api(service, EXPENSIVE).world
        done = await run(world, await batch_of(world, 100, window_s=HOUR))
        assert (done.status, done.totals.completed) == (BatchStatus.COMPLETED, 100)
        assert (len(service.lives), len(service.admitted)) == (1, 100)

    plays(story)


@pytest.mark.slow
def test_lines_wait_for_a_gpu_that_is_at_work_where_they_cost_less_there() -> None:
    async def story() -> None:
        service = gpu()
        world = beside_an_api(service, EXPENSIVE).world
        first = asyncio.create_task(run(world, await batch_of(world, 100, window_s=HOUR)))
        while not service.lives:  # noqa: ASYNC110 - in virtual time
            await asyncio.sleep(1)
        second = await run(world, await batch_of(world, 120, window_s=HOUR))
        assert (await first).totals.completed + second.totals.completed == 220
        assert (len(service.lives), len(service.admitted)) == (1, 220)
        start = await world.app.state.batches.starts.read(second)
        assert start is not None
        assert start.decision.reason == "gpu is at work, and lines cost less there than on api"

    plays(story)


def wire_of(batch: Batch) -> BatchWire:
    return {"tenant": OWNER.tenant, "subject": OWNER.subject, "response": batch.id, "traceparent": ""}


async def looked_at(world: World[LoopClock], batch: Batch) -> bool:
    """Check a batch and look at it once; return whether it waits."""
    await world.app.batches.check.check(wire_of(batch))
    await asyncio.sleep(1.0)
    return (await world.app.batches.time.time({**wire_of(batch), "looks": 0}))["delay_s"] > 0


async def woken(world: World[LoopClock], *batches: Batch) -> list[tuple[str, int]]:
    """Let the timer look at waiting batches; return those that it wakes."""
    sweep = BatchSweep(world.app.state.batches, world.app.batches.planner.decide, world.clock, unbegun_s=-1.0)
    orchestrations = FakeOrchestrations()
    orchestrations.running |= {batch.id for batch in batches}
    await sweep.run(orchestrations)
    return orchestrations.batch_wakes


@pytest.mark.parametrize(("lines", "begins"), [(70, False), (270, True)])
def test_batches_that_together_pay_for_several_starts_begin_at_once(lines: int, *, begins: bool) -> None:
    async def story() -> None:
        world = beside_an_api(gpu(), EXPENSIVE).world
        first, second = [await batch_of(world, lines, window_s=HOUR) for _ in range(2)]
        assert await looked_at(world, first)
        assert await looked_at(world, second) is not begins
        assert await woken(world, first, second) == ([(first.id, 0)] if begins else [])

    plays(story)


@pytest.mark.slow
def test_at_the_first_latest_start_a_gpu_is_started_for_all_batches_that_wait() -> None:
    async def story() -> None:
        service = gpu()
        world = beside_an_api(service, EXPENSIVE).world
        patient, urgent = await batch_of(world, 60, window_s=20 * HOUR), await batch_of(world, 60, window_s=HOUR)
        assert await looked_at(world, patient)
        done = await run(world, urgent)
        assert (done.status, len(service.lives), len(service.admitted)) == (BatchStatus.COMPLETED, 1, 60)
        assert await woken(world, patient) == [(patient.id, 0)]
        assert (await run(world, patient)).totals.completed == 60
        assert (len(service.lives), len(service.admitted)) == (1, 120)
        assert world.clock.now() < patient.created_at + 2 * HOUR

    plays(story)


@pytest.mark.slow
def test_batches_whose_latest_start_is_the_same_share_one_start() -> None:
    async def story() -> None:
        service = gpu()
        world = beside_an_api(service, EXPENSIVE).world
        batches = [await batch_of(world, 50, window_s=HOUR) for _ in range(2)]
        done = await asyncio.gather(*(run(world, each) for each in batches))
        assert [each.totals.completed for each in done] == [50, 50]
        assert (len(service.lives), len(service.admitted)) == (1, 100)

    plays(story)


SHORT_START_S = 5.0
SOON = replace(cold_of(SHORT_START_S), idle_s=10.0)
PARTS = GPU_PRICE.components


def paid(name: str, *, tokens_s: float, count: int) -> Backend:
    """Return a GPU that costs as much as `count` of the usual ones, and is idle for ten seconds at most."""
    made = cold_gpu(SOON, name=name)
    price = replace(GPU_PRICE, name=name, idle_s=10.0, components=[replace(each, count=count) for each in PARTS])
    return replace(made, price=price, speed=replace(made.speed, decode_tokens_s=tokens_s))


@pytest.mark.slow
@pytest.mark.parametrize(("lines", "started"), [(3, "small"), (60, "large")])
def test_of_two_gpus_only_the_one_starts_where_all_lines_cost_less(lines: int, started: str) -> None:
    async def story() -> None:
        gpus = {name: SleepingGpu(start_s=lambda: SHORT_START_S) for name in ("small", "large")}
        backends: dict[str, tuple[Backend, BackendClient]] = {
            "small": (paid("small", tokens_s=10, count=1), gpus["small"]),
            "large": (paid("large", tokens_s=200, count=3), gpus["large"]),
        }
        world = Cluster(backends=backends).world
        done = await run(world, await batch_of(world, lines, window_s=HOUR))
        assert (done.status, done.totals.completed) == (BatchStatus.COMPLETED, lines)
        assert {name: len(each.lives) for name, each in gpus.items()} == {"small": 0, "large": 0, started: 1}
        assert len(gpus[started].admitted) == lines

    plays(story)


def test_the_latest_start_leaves_time_for_the_pace_of_the_app() -> None:
    async def story() -> None:
        fast = paid("fast", tokens_s=100_000, count=1)
        world = Cluster(backends={"fast": (replace(fast, limits=replace(fast.limits, concurrency=400)), gpu())}).world
        batch = replace(await batch_of(world, 1, window_s=HOUR), lines=4000, model="model", output_tokens=64)
        decision = await world.app.batches.planner.decide(batch, ALONE)
        assert decision.latest_start == pytest.approx(batch.expires_at - 1.5 * (SHORT_START_S + 4000 / 40))

    plays(story)


@pytest.mark.slow
def test_the_lines_of_a_batch_teach_the_true_speed_of_their_backend() -> None:
    async def story() -> None:
        service = SleepingGpu(start_s=lambda: START_S, words=25, word_s=0.02, first_word_s=0.1)
        cluster = alone(service)
        world = cluster.world
        await run(world, await batch_of(world, 60, window_s=HOUR))
        states = await world.app.state.backend_states.read({"gpu": cluster.backends["gpu"][0]})
        assert states["gpu"].speed.decode_tokens_s == pytest.approx(1 / 0.02, rel=0.2)

    plays(story)
