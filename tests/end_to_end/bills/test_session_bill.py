"""Does usage come to what the GPU service bills, once it has scaled in and the sweep has been there?"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.paths import ROOT
from tests.end_to_end.callers import Caller, Json, Reading, asking, calling
from tests.end_to_end.cold import COLD_MODEL, GPU, UNBOUNDED
from tests.end_to_end.conftest import HASTY
from tests.end_to_end.waiting import eventually

RATE = Decimal("0.0003947")
TAIL_S = 20
STEPS = 5
"""By so many steps of 100 ms a session of ours may differ: a request takes its time on its way on a busy machine."""

PRICE = f"""
[prices.stand-in-gpu]
kind = "per_second"
granularity_ms = 100
idle_s = {TAIL_S}
source = "made up"
date = 2026-11-22
region = "laptop"
components.machine = {{ amount = "{RATE}" }}
"""


def paid_by_time(folder: Path) -> dict[str, str]:
    """Write a fleet and prices in which the stand-in GPU is paid by its time, and return where they are."""
    fleet, prices = folder / "fleet.toml", folder / "prices.toml"
    prices.write_text((ROOT / "prices.toml").read_text(encoding="utf-8") + PRICE, encoding="utf-8")
    before, mark, after = (ROOT / "fleet.toml").read_text(encoding="utf-8").partition(f"[backends.{GPU}]")
    times = {"p50_s = 5": "p50_s = 1", "p99_s = 60": "p99_s = 10", "idle_s = 600": f"idle_s = {TAIL_S}"}
    for shipped, ours in {**times, 'price = "cloud-run-l4"': 'price = "stand-in-gpu"'}.items():
        assert shipped in after
        after = after.replace(shipped, ours, 1)
    fleet.write_text(before + mark + after, encoding="utf-8")
    return {"GANGLION_FLEET": str(fleet), "GANGLION_PRICES": str(prices)}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    environment = {**HASTY, **UNBOUNDED, **paid_by_time(tmp_path)}
    options = ClusterOptions(
        data=tmp_path, cold="1", gpu=("--tail", TAIL_S), rate=20, warm_models=True, environment=environment
    )
    with LocalCluster(options) as running:
        yield running


async def sessions(caller: Caller) -> list[Json]:
    return (await caller.http.get(f"{caller.cluster.model_url(GPU)}/admin/bill")).json()["sessions"]


async def asleep(caller: Caller) -> bool | None:
    state = await caller.http.get(f"{caller.cluster.model_url(GPU)}/admin/state")
    return True if not state.json()["instances"] else None


async def finals(callers: Sequence[Caller], ids: Sequence[str]) -> bool | None:
    """Sweep, and tell whether every bill is final."""
    await callers[0].sweep()
    reports = [await caller.report(name) for caller, name in zip(callers, ids, strict=True)]
    return True if all(report["bill"]["status"] == "final" for report in reports) else None


async def gpu_usage(caller: Caller) -> Decimal:
    answer = await caller.http.get("/v1/usage", params={"group_by": "backend"})
    return sum((Decimal(row["backends_usd"]) for row in answer.json()["data"] if row["backend"] == GPU), Decimal(0))


@pytest.mark.campaign
async def test_usage_is_what_the_gpu_service_bills_after_scale_in_and_sweeps(cluster: LocalCluster) -> None:
    async with AsyncExitStack() as stack:
        tokens = [cluster.token(), cluster.token("bob", "fabrikam"), cluster.token("carol")]
        callers = [await stack.enter_async_context(calling(cluster, token)) for token in tokens]
        readings = [asyncio.create_task(caller.follow(asking("COUNT 60", COLD_MODEL))) for caller in callers[:2]]
        await asyncio.gather(*readings)
        await eventually(lambda: asleep(callers[0]), within_s=120, what="the GPU scales in")
        last = Reading(body={**asking("COUNT 100", COLD_MODEL), "stream": True})
        await callers[2].follow_on(last, until=30)
        cluster.kill_worker()
        await callers[2].follow_on(last)
        ids = [reading.result().id for reading in readings] + [last.id]
        await eventually(lambda: asleep(callers[0]), within_s=120, what="the GPU scales in again")
        await eventually(lambda: finals(callers, ids), within_s=60, what="the bills are final")
        used = sum([await gpu_usage(caller) for caller in callers], Decimal(0))
        lives = await sessions(callers[0])
        billed = RATE * sum((Decimal(str(life["billed_s"])) for life in lives), Decimal(0))
        print(f"usage ${used}, bill ${billed}, {len(lives)} sessions")  # noqa: T201 - the figures of this run
        assert [life["why"] for life in lives] == ["idle", "idle"]
        assert abs(used - billed) <= RATE / 10 * STEPS * len(lives)
        reports = [await caller.report(name) for caller, name in zip(callers, ids, strict=True)]
        parts = [Decimal(report["bill"][f"{line}_usd"]) for report in reports for line in ("gpu", "cold", "tail")]
        assert sum(parts, Decimal(0)) == used
