"""Does a second idle GPU in the fleet cost nothing?"""

import asyncio
from copy import replace
from decimal import Decimal
from random import Random

import pytest

from clients.backends.port import BackendClient
from domain.fleet.catalog import Backend
from tests.activities.cold_starts import EXPENSIVE, Cluster, cold_gpu, cold_of
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import SleepingGpu
from tests.fakes.worlds import backend

START_S = 30.0
PRICE = replace(EXPENSIVE, input=Decimal(100), output=Decimal(100))
"""An answer of 211 tokens costs about $0.025 at the API: eleven turns pay for a session of the GPU."""

Counts = tuple[int, ...]


def fleet_of(names: tuple[str, ...]) -> tuple[dict[str, SleepingGpu], FakeBackend, Cluster]:
    gpus = {name: SleepingGpu(start_s=lambda: START_S, words=211, word_s=0.01) for name in names}
    api = FakeBackend(says(" ".join(["word"] * 211)))
    cold = {name: (cold_gpu(cold_of(START_S), name=name), gpu) for name, gpu in gpus.items()}
    backends: dict[str, tuple[Backend, BackendClient]] = {**cold, "api": (replace(backend("api"), price=PRICE), api)}
    return gpus, api, Cluster(backends=backends)


async def bursts(cluster: Cluster) -> None:
    """Two bursts of turns, apart by more than an idle period."""
    random = Random(5)  # noqa: S311 - a test's seed
    for _ in range(2):
        for _ in range(30):
            response = await cluster.world.admit("hello", model="auto", deadline_s=25)
            await cluster.run([response])
            await asyncio.sleep(random.uniform(1, 25))
        await asyncio.sleep(2000)


@pytest.mark.slow
def test_a_second_idle_gpu_starts_nothing_and_takes_no_turn() -> None:
    async def counts(names: tuple[str, ...]) -> Counts:
        gpus, api, cluster = fleet_of(names)
        await bursts(cluster)
        return (*(len(gpu.lives) for gpu in gpus.values()), len(api.calls))

    async def both() -> tuple[Counts, Counts]:
        return await counts(("gpu",)), await counts(("gpu", "spare"))

    alone, with_spare = in_no_time(both())
    assert alone[0] == 2
    assert with_spare == (alone[0], 0, alone[1])
