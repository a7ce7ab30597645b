"""How does a test call the GPU service over a real socket, and read its records?"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from standins.clock import now
from standins.cloud_run.instance_bill import InstanceBill
from standins.cloud_run.instance_pool import InstancePool
from standins.cloud_run.invoker_check import InvokerCheck
from standins.cloud_run.launcher import Launcher
from standins.cloud_run.options import CloudRunOptions, with_changes
from standins.cloud_run.service import CloudRunService
from standins.processes.child_process import python_command
from tests.fakes.servers.web_servers import served
from tests.standins.conftest import chat_body

SCRIPTED = python_command("standins.scripted", "--rate", 0)
PACED = python_command("standins.scripted", "--rate", 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    client: httpx.AsyncClient
    data: Path

    async def ask(self, text: str = "COUNT 3", **headers: str) -> httpx.Response:
        return await self.client.post("/v1/chat/completions", json=chat_body(text), headers=headers)

    async def ask_after(self, pause_s: float) -> float:
        """Ask after a pause; return the seconds from the pause's beginning until the answer."""
        began = time.monotonic()
        await asyncio.sleep(pause_s)
        await self.ask()
        return time.monotonic() - began

    async def ask_and_disconnect(self, after_s: float) -> None:
        """Wakes it as a caller does who drops the request soon."""
        with_timeout = asyncio.wait_for(self.ask(), after_s)
        try:
            await with_timeout
        except TimeoutError:
            return
        raise AssertionError("it answered before the caller left")

    async def admin(self, name: str) -> dict[str, Any]:
        return (await self.client.get(f"/admin/{name}")).raise_for_status().json()

    async def sessions(self) -> list[dict[str, Any]]:
        return (await self.admin("bill"))["sessions"]

    async def change(self, **options: object) -> httpx.Response:
        return await self.client.patch("/admin/options", json=options)

    async def instances(self) -> list[dict[str, Any]]:
        return (await self.admin("state"))["instances"]

    async def wait_until(self, holds: Callable[["Gpu"], Awaitable[bool]], deadline_s: float = 10) -> None:
        until = time.monotonic() + deadline_s
        while not await holds(self):
            if time.monotonic() > until:
                raise TimeoutError(f"it never became so: {await self.admin('state')}")
            await asyncio.sleep(0.02)

    async def is_cold(self) -> bool:
        return not await self.instances()

    async def is_ready(self) -> bool:
        return any(instance["state"] == "ready" for instance in await self.instances())


@asynccontextmanager
async def running_gpu(
    data: Path,
    *,
    command: list[str] = SCRIPTED,
    invoker_check: InvokerCheck | None = None,
    spare: bool = False,
    **options: object,
) -> AsyncGenerator[Gpu]:
    pool = InstancePool(
        options=with_changes(CloudRunOptions(), options),
        launcher=Launcher(command=command, logs=data / "logs", spare=spare),
        bill=InstanceBill(path=data / "bill.json"),
        clock=now,
        draws=random.Random(1),  # noqa: S311 - it draws delays
    )
    service = CloudRunService(pool=pool, invoker_check=invoker_check, audience=None, clock=now)
    async with (
        served(service.application(), cancels=True) as base,
        httpx.AsyncClient(base_url=base, timeout=30) as client,
    ):
        yield Gpu(client=client, data=data)
