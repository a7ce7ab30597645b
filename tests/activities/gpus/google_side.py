"""How does a whole turn use a cold GPU at Google, with the real libraries on every hop, in one process?"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from copy import replace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients.backends.port import BackendClient
from clients.clock import SystemClock
from domain.config.fleet_toml import fleet_from_toml
from domain.fleet.catalog import Auth, AuthKind, Backend, ColdStart
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from standins.clock import now
from standins.cloud_run.invoker_check import GoogleKeySet, InvokerCheck
from standins.issuer.federation import SERVICE_ACCOUNT
from tests.clients.identity.cloud import Cloud, cloud_with
from tests.domain.fleets import CLOUDS, LAPTOP, SHIPPED_PRICES, SHIPPED_SYSTEMS, shipped_text
from tests.domain.fleets import GPU as GPU_PRICE
from tests.fakes.backends import FakeBackend, http_backend, says
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import SETTINGS, World, backend
from tests.standins.cloud_run.harness import Gpu, running_gpu

HOLD_S = 0.3
OTHER_ANSWER = "from another backend"


class ShiftedClock(SystemClock):
    """A clock that is `ahead_s` seconds ahead. With `leaps` it skips sleeps instead of waiting."""

    def __init__(self, ahead_s: float, *, leaps: bool) -> None:
        self.ahead_s = ahead_s
        self.leaps = leaps

    def now(self) -> float:
        return super().now() + self.ahead_s

    async def sleep(self, seconds: float) -> None:
        if self.leaps:
            self.ahead_s += seconds
        await super().sleep(0 if self.leaps else seconds)


@dataclass(slots=True, kw_only=True)
class Scene:
    """A turn's world, its GPU service with the gate that checks tokens, and the cloud that issues tokens."""

    world: World[ShiftedClock]
    cloud: Cloud
    gate: InvokerCheck
    service: Gpu

    async def ask(self, *, model: str = "model", meanwhile: Callable[[], Any] | None = None) -> Response:
        """Run a whole turn; `meanwhile` is awaited when its warm-up request was sent."""
        response = await self.world.admit("COUNT 3", model=model)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.world.run(response))
            if meanwhile:
                await self.service.wait_until(is_starting)
                await meanwhile()
        return response

    async def error_of(self, response: Response) -> str:
        log = await self.world.log(response)
        assert log.status is ResponseStatus.FAILED
        assert log.ending
        return log.ending.message

    async def answer_of(self, response: Response) -> str:
        log = await self.world.log(response)
        assert log.status is ResponseStatus.COMPLETED, log.ending
        return log.items[0].text


async def is_starting(service: Gpu) -> bool:
    return not await service.is_cold()


@asynccontextmanager
async def google_side(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    start_s: float = 1.0,
    ahead_s: float = 0.0,
    leaps: bool = False,
    audience: str | None = None,
    alternative: bool = False,
    federation: Mapping[str, Any] | None = None,
) -> AsyncGenerator[Scene]:
    """Set the scene up; `audience` replaces the service's, `ahead_s` is how far our own clock is ahead."""
    clock = ShiftedClock(ahead_s, leaps=leaps)
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(cloud_with(tmp_path, monkeypatch))
        gate = InvokerCheck(
            keys=GoogleKeySet(f"{cloud.url}/oauth2/v3/certs"), clock=now, invokers=frozenset({SERVICE_ACCOUNT})
        )
        service = await stack.enter_async_context(running_gpu(tmp_path, invoker_check=gate, start=start_s))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        url = str(service.client.base_url).rstrip("/")
        credentials = cloud.credentials(clock, **(federation or {}))
        one = cold_gpu_at(url, audience=audience or url, start_s=start_s)
        backends: dict[str, tuple[Backend, BackendClient]] = {
            "gpu": (one, http_backend(one, http, silence_s=10, credentials=credentials))
        }
        if alternative:
            backends["api"] = (backend("api"), FakeBackend(says(OTHER_ANSWER)))
        world = World(
            store=MemoryStore(clock), clock=clock, backends=backends, settings=replace(SETTINGS, hold_s=HOLD_S)
        )
        yield Scene(world=world, cloud=cloud, gate=gate, service=service)
        for task in [*world.warmer.background_tasks]:
            task.cancel()


def cold_gpu_at(url: str, *, audience: str, start_s: float) -> Backend:
    """Return the shipped GPU backend at an address, with starts that a test can wait for."""
    shipped = fleet_from_toml(
        shipped_text("fleet.toml"), {**LAPTOP, **CLOUDS}, SHIPPED_PRICES, SHIPPED_SYSTEMS
    ).backends["scripted-gpu"]
    return replace(
        shipped,
        name="gpu",
        model="model",
        url=f"{url}/v1",
        price=GPU_PRICE,
        limits=replace(shipped.limits, context_tokens=4096, max_output_tokens=2048),
        auth=Auth(kind=AuthKind.GOOGLE_ID_TOKEN, audience=audience),
        cold_start=ColdStart(scales_to_zero=True, p50_s=start_s, p99_s=start_s + 10, warm_up_hold_s=0.2, idle_s=600),
    )
