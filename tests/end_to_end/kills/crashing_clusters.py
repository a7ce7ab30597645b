"""How does a product die exactly between two of its steps?"""

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from copy import replace
from dataclasses import dataclass
from pathlib import Path

from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from standins.paths import ROOT
from tests.end_to_end.operation.packages import publish
from tests.end_to_end.waiting import eventually

DEATHS_OF_A_HOST = 3
"""After so many quick deaths of its worker a host is started anew, which restarts its next worker at once."""


@dataclass(slots=True, kw_only=True)
class CrashingCluster:
    """A cluster whose worker dies where it is told to."""

    cluster: LocalCluster
    deaths: int = 0

    @property
    def order(self) -> Path:
        return self.cluster.data / "crash.json"

    async def crash_at(self, step: str, when: str) -> None:
        self.deaths += 1
        if self.deaths > DEATHS_OF_A_HOST:
            self.deaths = 1
            await asyncio.to_thread(self.cluster.restart_host)
        self.order.write_text(json.dumps([step, when]))

    async def crashed(self) -> None:
        async def look() -> bool | None:
            return None if self.order.exists() else True

        await eventually(look, what="the crash")


@contextmanager
def crashing_cluster(app: Path, options: ClusterOptions) -> Generator[CrashingCluster]:
    """Publish the product to the folder `app`, with a worker that can be made to die, and start it."""
    publish(ROOT, app)
    (app / "function_app.py").rename(app / "product.py")
    (app / "function_app.py").write_bytes(Path(__file__).with_name("crashing.py").read_bytes())
    with LocalCluster(replace(options, app=app)) as cluster:
        yield CrashingCluster(cluster=cluster)
