"""How does a test put a GPU to sleep behind the whole product, in scaled time, and read what it did?"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.storage.port import Create
from domain.fleet.backend_state import BackendState
from domain.fleet.cold_start import StartTimes
from domain.fleet.learned_speed import LearnedSpeed
from domain.fleet.warmth import Warmth
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.paths import ROOT
from state.fleet.state_documents import FLEET, STATE_ID, state_id
from tests.end_to_end.books import Books, books_of
from tests.end_to_end.callers import Caller, Json, calling
from tests.end_to_end.conftest import HASTY

GPU = "scripted-gpu"
COLD_MODEL = f"scripted@{GPU}"
SPEED = 10.0
"""So many seconds of the GPU service pass in one second of the test."""

HOLD_S = 10.0
"""How many seconds of the service an attempt waits for the end of a start; for the rest a turn waits without one."""

ROOM = 8
UNBOUNDED = {
    f"GANGLION_{whose}_{what}": "100000"
    for whose in ("OWNER", "TENANT")
    for what in ("TURNS_PER_MINUTE", "BURST", "RUNNING")
}


def scaled_fleet(folder: Path) -> Path:
    """Write a fleet whose times are those of the scaled service and whose GPU is paid by tokens; return where it is."""
    text = (ROOT / "fleet.toml").read_text(encoding="utf-8")
    before, mark, after = text.partition(f"[backends.{GPU}]")
    price = {'price = "cloud-run-l4"': 'price = "scripted"'}
    times = {
        **price,
        "p50_s = 5": "p50_s = 0.5",
        "p99_s = 60": "p99_s = 6",
        "warm_up_hold_s = 2": "warm_up_hold_s = 0.2",
    }
    for as_shipped, scaled in {**times, "idle_s = 600": "idle_s = 60"}.items():
        assert as_shipped in after
        after = after.replace(as_shipped, scaled, 1)
    path = folder / "fleet.toml"
    path.write_text(before + mark + after, encoding="utf-8")
    return path


def sleeping(folder: Path, **environment: str) -> ClusterOptions:
    given = {"GANGLION_FLEET": str(scaled_fleet(folder)), "GANGLION_HOLD_S": str(HOLD_S / SPEED)}
    return ClusterOptions(
        data=folder,
        cold="5",
        gpu=("--speed", SPEED, "--spare"),
        rate=200,
        warm_models=True,
        environment={**HASTY, **UNBOUNDED, **given, **environment},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdScene:
    """A running product whose GPU sleeps."""

    cluster: LocalCluster
    caller: Caller
    books: Books

    async def admin(self, method: str, path: str, given: Json | None = None) -> Any:
        answer = await self.caller.http.request(method, f"{self.cluster.model_url(GPU)}/admin/{path}", json=given)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def asleep(self, *, start_s: float, abandoned_starts: bool = True, expected_s: float | None = None) -> None:
        """Scale the GPU in; it starts in `start_s` seconds, and the backend state expects `expected_s`."""
        while (await self.admin("GET", "state"))["instances"]:
            await self.admin("POST", "scale-in")
            await asyncio.sleep(0.05)
        await self.admin("DELETE", "requests")
        options = {"start": start_s, "abandoned_starts": "yes" if abandoned_starts else "no"}
        await self.admin("PATCH", "options", options)
        await self.set_state((expected_s or start_s) / SPEED, must_hold=not abandoned_starts)

    async def set_state(self, start_s: float, *, must_hold: bool) -> None:
        seeded = BackendState(
            backend=GPU,
            start_times=StartTimes(p50_s=start_s, p99_s=start_s),
            speed=LearnedSpeed(prefill_tokens_s=20000, decode_tokens_s=200),
            warmth=Warmth(lost_warm_ups=1 if must_hold else 0),
        )
        body = {"kind": STATE_ID, **seeded.to_document()}
        await self.books.forget_backend_state(GPU)
        await self.books.store.commit(FLEET, (Create(id=state_id(GPU), body=body),))

    async def sessions(self, known: int) -> list[Json]:
        """Return the lives of the GPU since so many were known."""
        return (await self.admin("GET", "bill"))["sessions"][known:]

    async def requests(self) -> list[Json]:
        return (await self.admin("GET", "requests"))["requests"]

    async def timers(self, response_id: str) -> int:
        """Return how many durable timers of a turn have fired."""
        path = f"/runtime/webhooks/durabletask/instances/{response_id}"
        answer = await self.caller.http.get(path, params={"showHistory": "true"})
        return sum(event["EventType"] == "TimerFired" for event in answer.json()["historyEvents"])


@asynccontextmanager
async def cold_scene(cluster: LocalCluster) -> AsyncGenerator[ColdScene]:
    async with calling(cluster) as caller, books_of(cluster.data) as books:
        yield ColdScene(cluster=cluster, caller=caller, books=books)
