"""Does every event that has not ended go on, however many wait before it?"""

from activities.maintenance.pipeline_sweep import PipelineSweep
from clients.orchestrations import Orchestrations
from domain.errors import Unavailable
from domain.pipelines.event_run import EventRun, RunStatus
from state.pipelines.event_runs import EventRuns
from tests.api.pipelines.events import APP
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import FakeOrchestrations
from tests.fakes.stores import MemoryStore

MOST = 2


def run_of(number: int, clock: FakeClock) -> EventRun:
    digest = f"{number:064x}"
    return EventRun(pipeline="tickets", owner=APP, digest=digest, created_at=clock.now(), marker="m", text="Hi.")


async def swept(count: int, sweeps: int) -> tuple[list[int], EventRuns, FakeClock]:
    """Return the numbers of the runs that so many sweeps look at, where none of them can go on."""
    clock = FakeClock()
    runs, seen = EventRuns(MemoryStore(clock), clock), list[int]()
    for number in range(count):
        await runs.accept(run_of(number, clock))
        clock.advance(1)

    async def advance(run: EventRun, orchestrations: Orchestrations) -> EventRun:
        seen.append(int(run.digest, 16))
        if run.digest.endswith("1"):
            raise Unavailable("not now")
        return run

    sweep = PipelineSweep(runs, advance, clock, unbegun_s=30.0, most=MOST)
    for _ in range(sweeps):
        clock.advance(60)
        await sweep.run(FakeOrchestrations())
    return seen, runs, clock


async def test_runs_that_wait_for_long_do_not_hide_the_later_ones() -> None:
    seen, _, _ = await swept(5, sweeps=4)
    assert seen == [0, 1, 2, 3, 4, 0, 1, 2]


async def test_a_run_that_was_put_behind_has_the_same_turn_and_time() -> None:
    _, runs, clock = await swept(3, sweeps=1)
    behind = (await runs.unfinished(RunStatus.OPEN, before=clock.now() + 1))[1:]
    fresh = [run_of(number, FakeClock()) for number in (0, 1)]
    assert [int(each.digest, 16) for each in behind] == [0, 1]
    assert [each.created_at for each in behind] == [each.created_at + at for at, each in enumerate(fresh)]
    assert behind[0].response == fresh[0].response


async def test_a_sweep_that_sees_all_runs_writes_nothing() -> None:
    _, runs, clock = await swept(1, sweeps=2)
    (found,) = await runs.unfinished(RunStatus.OPEN, before=clock.now())
    assert found.looked_at == 0
