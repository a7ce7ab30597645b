"""Does the ledger come to the bill of three instances, though the processes of the product are killed?"""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from tests.end_to_end.bills.test_counted_bill import MANUAL, NEVER_S, CountedCluster, counted
from tests.end_to_end.bills.test_session_bill import RATE, TAIL_S, asleep, finals, gpu_usage, paid_by_time, sessions
from tests.end_to_end.callers import Caller, Reading, asking, calling
from tests.end_to_end.cold import COLD_MODEL, GPU, UNBOUNDED
from tests.end_to_end.conftest import HASTY
from tests.end_to_end.kills.test_survival import VICTIMS
from tests.end_to_end.waiting import eventually

MOST, ROOM, TURNS = 3, 2, 30
SOON_S = 4
"""The idle period of a counted instance: one more costs so little that few turns in line pay for it."""

LONG_S = 60
"""The idle period of a provider that starts and ends the instances."""

NEAR = {True: Decimal("0.005"), False: Decimal("0.02")}
"""The ledger is as near to the bill as this part of it: where the product counts the instances, and where not."""


def several(settings: dict[str, str]) -> dict[str, str]:
    """Return the settings of a fleet whose GPU may have three instances with room for two requests each."""
    fleet = Path(settings["GANGLION_FLEET"])
    before, mark, after = fleet.read_text(encoding="utf-8").partition(f"[backends.{GPU}]\n")
    assert "concurrency = 8" in after
    after = after.replace("concurrency = 8", f"concurrency = {ROOM}", 1)
    idle_s = SOON_S if "scaling" in after else LONG_S
    after = after.replace(f"idle_s = {TAIL_S}", f"idle_s = {idle_s}", 1)
    fleet.write_text(f"{before}{mark}max_instances = {MOST}\n{after}", encoding="utf-8")
    prices = Path(settings["GANGLION_PRICES"])
    text = prices.read_text(encoding="utf-8")
    prices.write_text(text.replace(f"idle_s = {TAIL_S}", f"idle_s = {LONG_S}"), encoding="utf-8")
    return settings


@pytest.fixture
def cluster(tmp_path: Path, *, is_counted: bool) -> Iterator[LocalCluster]:
    settings = several(counted(tmp_path) if is_counted else paid_by_time(tmp_path))
    limits = ("--concurrency", ROOM, "--max-instances", MOST)
    options = ClusterOptions(
        data=tmp_path,
        cold="1",
        gpu=(*limits, "--tail", NEVER_S, *MANUAL) if is_counted else (*limits, "--tail", LONG_S),
        rate=20,
        warm_models=True,
        environment={**HASTY, **UNBOUNDED, **settings},
    )
    with (CountedCluster if is_counted else LocalCluster)(options) as running:
        yield running


async def three_run(caller: Caller) -> bool | None:
    state = await caller.http.get(f"{caller.cluster.model_url(GPU)}/admin/state")
    ready = [each for each in state.json()["instances"] if each["state"] == "ready"]
    return True if len(ready) == MOST else None


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ["worker", "host"])
@pytest.mark.parametrize("is_counted", [True, False])
async def test_three_instances_are_ended_and_paid_although_a_process_was_killed(
    cluster: LocalCluster, victim: str, *, is_counted: bool
) -> None:
    async with AsyncExitStack() as stack:
        caller = await stack.enter_async_context(calling(cluster, cluster.token()))
        readings = [Reading(body={**asking("COUNT 100", COLD_MODEL), "stream": True}) for _ in range(TURNS)]
        turns = [asyncio.create_task(caller.follow_on(each)) for each in readings]
        await eventually(lambda: three_run(caller), within_s=180, what="three instances run")
        await asyncio.to_thread(VICTIMS[victim], cluster)
        await asyncio.gather(*turns)
        await eventually(lambda: asleep(caller), within_s=180, what="no instance runs")
        ids = [each.id for each in readings]
        await eventually(lambda: finals([caller] * TURNS, ids), within_s=180, what="the bills are final")
        used, lives = await gpu_usage(caller), await sessions(caller)
        billed = RATE * sum((Decimal(str(life["billed_s"])) for life in lives), Decimal(0))
        print(f"usage ${used}, bill ${billed}, {len(lives)} sessions, {used / billed:.4f}")  # noqa: T201 - the figures
        assert len(lives) >= MOST
        assert abs(used - billed) <= NEAR[is_counted] * billed
