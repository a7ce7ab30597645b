"""Does the product end an instance that it counts, in time and at the provider's bill, though a process is killed?"""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import override

import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from tests.end_to_end.bills.test_session_bill import RATE, asleep, finals, gpu_usage, paid_by_time, sessions
from tests.end_to_end.callers import Reading, asking, calling
from tests.end_to_end.cold import COLD_MODEL, GPU, UNBOUNDED
from tests.end_to_end.conftest import HASTY
from tests.end_to_end.kills.test_survival import VICTIMS
from tests.end_to_end.waiting import eventually

SERVICE = "projects/p/locations/europe-west4/services/llm"
ADMIN = "GANGLION_SCRIPTED_GPU_ADMIN_URL"
NEVER_S = 100_000
"""The idle period of the provider: it ends nothing here."""

MANUAL = ("--manual", "yes", "--count-delay", "0.5")
"""No request starts an instance, as after the first count that the product has set."""

LATE = Decimal(5)
"""By so many seconds a session of ours may differ: an operation is seen to end later than it did."""


class CountedCluster(LocalCluster):
    """A cluster whose app knows where the Admin API of its GPU is."""

    @override
    def environment(self) -> dict[str, str]:
        return {**super().environment(), ADMIN: self.model_url(GPU)}


def counted(folder: Path) -> dict[str, str]:
    """Return the settings of a fleet whose GPU the product counts."""
    settings = paid_by_time(folder)
    fleet = Path(settings["GANGLION_FLEET"])
    before, mark, after = fleet.read_text(encoding="utf-8").partition(f"[backends.{GPU}]\n")
    control = f'scaling = "count"\ninstances = {{ service = "{SERVICE}", url = "%{ADMIN}%" }}\n'
    fleet.write_text(before + mark + control + after, encoding="utf-8")
    return settings


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    options = ClusterOptions(
        data=tmp_path,
        cold="1",
        gpu=("--tail", NEVER_S, *MANUAL),
        rate=20,
        warm_models=True,
        environment={**HASTY, **UNBOUNDED, **counted(tmp_path)},
    )
    with CountedCluster(options) as running:
        yield running


@pytest.mark.campaign
@pytest.mark.parametrize("victim", ["worker", "host", "both"])
async def test_a_count_is_set_back_although_a_process_was_killed_and_the_bill_is_what_it_lasted(
    cluster: LocalCluster, victim: str
) -> None:
    async with AsyncExitStack() as stack:
        caller = await stack.enter_async_context(calling(cluster, cluster.token()))
        reading = Reading(body={**asking("COUNT 100", COLD_MODEL), "stream": True})
        await caller.follow_on(reading, until=30)
        await asyncio.to_thread(VICTIMS[victim], cluster)
        await caller.follow_on(reading)
        await eventually(lambda: asleep(caller), within_s=240, what="the count is 0")
        await eventually(lambda: finals([caller], [reading.id]), within_s=120, what="the bill is final")
        used, lives = await gpu_usage(caller), await sessions(caller)
        billed = RATE * sum((Decimal(str(life["billed_s"])) for life in lives), Decimal(0))
        print(f"usage ${used}, bill ${billed}, {len(lives)} sessions")  # noqa: T201 - the figures of this run
        assert [life["why"] for life in lives] == ["count"]
        assert abs(used - billed) <= RATE * LATE
