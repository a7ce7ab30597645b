"""Does the client set the count of the Cloud Run stand-in, wait for the operation, and report what was refused?"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from copy import replace
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from clients.backends.credentials import HttpCall
from clients.backends.port import BackendError
from clients.instances.cloud_run import SCOPE, CloudRunInstances, status_failure
from domain.fleet.catalog import Auth, AuthKind, Backend
from domain.fleet.failure_classes import Failure, FailureKind
from domain.fleet.instances.count_failures import changed_nothing, count_diagnosis, may_repeat, pause_s
from domain.fleet.instances.scaling import InstanceControl, Scaling
from tests.fakes.worlds import backend
from tests.standins.cloud_run.harness import Gpu, running_gpu

SERVICE = "projects/p/locations/europe-west4/services/llm"


@dataclass(slots=True)
class NotedCredentials:
    """Gives every call a token, and notes for whom."""

    asked: list[Backend] = field(default_factory=list[Backend])

    async def header(self, backend: Backend, call: HttpCall) -> Mapping[str, str]:
        assert call.url.endswith(("wait", "Count")), call.url
        self.asked.append(backend)
        return {"authorization": "Bearer token"}

    def rejected(self, backend: Backend) -> None:
        self.asked.remove(backend)


@dataclass(frozen=True, slots=True)
class Scene:
    gpu: Gpu
    client: CloudRunInstances
    backend: Backend
    credentials: NotedCredentials


@asynccontextmanager
async def scene(data: Path, **options: float) -> AsyncGenerator[Scene]:
    async with running_gpu(data, start=0) as gpu, httpx.AsyncClient() as http:
        await gpu.change(**options)
        control = InstanceControl(service=SERVICE, url=str(gpu.client.base_url).rstrip("/"))
        auth = Auth(kind=AuthKind.GOOGLE_ID_TOKEN, audience="x", service_account="sa@p")
        counted = replace(backend("gpu"), scaling=Scaling.COUNT, instances=control, auth=auth)
        credentials = NotedCredentials()
        yield Scene(gpu, CloudRunInstances(http, credentials), counted, credentials)


@pytest.mark.slow
async def test_the_count_starts_and_ends_an_instance(tmp_path: Path) -> None:
    async with scene(tmp_path) as found:
        await found.client.wait(found.backend, await found.client.set_count(found.backend, 1))
        await found.gpu.wait_until(Gpu.is_ready, 60)
        answer = await found.gpu.ask()
        await found.client.wait(found.backend, await found.client.set_count(found.backend, 0))
        assert await found.gpu.is_cold()
        (session,) = await found.gpu.sessions()
        refused = await found.gpu.ask()
    assert answer.status_code == 200
    assert (session["why"], session["requests"]) == ("count", 1)
    assert refused.status_code == 503
    acting = found.credentials.asked[0].auth
    assert (acting.kind, acting.scope, acting.service_account) == (AuthKind.GOOGLE_ACCESS_TOKEN, SCOPE, "sa@p")


@pytest.mark.slow
async def test_a_lower_count_ends_as_many_instances_as_are_too_many(tmp_path: Path) -> None:
    async with scene(tmp_path) as found:
        await found.client.wait(found.backend, await found.client.set_count(found.backend, 3))
        assert [each["ended"] for each in await found.gpu.sessions()] == [None] * 3
        await found.client.wait(found.backend, await found.client.set_count(found.backend, 1))
        assert [each["why"] for each in await found.gpu.sessions()].count("count") == 2
        await found.client.wait(found.backend, await found.client.set_count(found.backend, 0))
        assert [each["why"] for each in await found.gpu.sessions()] == ["count"] * 3


async def test_requests_start_nothing_while_the_count_is_zero(tmp_path: Path) -> None:
    async with scene(tmp_path) as found:
        await found.client.set_count(found.backend, 0)
        assert [(await found.gpu.ask()).status_code for _ in range(2)] == [503, 503]
        assert await found.gpu.sessions() == []


@pytest.mark.slow
async def test_a_slow_operation_is_waited_for(tmp_path: Path) -> None:
    async with scene(tmp_path, count_delay=0.4) as found:
        await found.client.wait(found.backend, await found.client.set_count(found.backend, 1))
        began = asyncio.get_running_loop().time()
        await found.client.wait(found.backend, await found.client.set_count(found.backend, 0))
        assert asyncio.get_running_loop().time() - began >= 0.4
        assert await found.gpu.is_cold()


@pytest.mark.parametrize(("status", "passes"), [(403, False), (404, False), (409, True), (429, True), (503, True)])
async def test_a_refusal_keeps_its_status(tmp_path: Path, status: int, *, passes: bool) -> None:
    async with scene(tmp_path, count_failure=status) as found:
        with pytest.raises(BackendError) as refused:
            await found.client.set_count(found.backend, 1)
        assert await found.gpu.sessions() == []
    assert refused.value.failure.status == status
    assert may_repeat(refused.value.failure) is passes
    assert changed_nothing(refused.value.failure) is (status != 503)
    assert str(status) in count_diagnosis(refused.value.failure).reason


async def test_an_api_that_is_not_there_is_a_refused_connection() -> None:
    async with httpx.AsyncClient() as http:
        control = InstanceControl(service=SERVICE, url="http://127.0.0.1:1")
        counted = replace(backend("gpu"), scaling=Scaling.COUNT, instances=control)
        with pytest.raises(BackendError) as refused:
            await CloudRunInstances(http, NotedCredentials()).set_count(counted, 1)
    assert refused.value.failure.kind is FailureKind.REFUSED
    assert changed_nothing(refused.value.failure)


def test_an_operation_that_fails_has_the_status_of_its_code() -> None:
    async def story() -> None:
        def answer(_request: httpx.Request) -> httpx.Response:
            error = {"code": 8, "message": "Quota exceeded for NvidiaL4GpuAllocPerProjectRegion"}
            body = json.dumps({"name": "operations/1", "done": True, "error": error}).encode()
            return httpx.Response(200, stream=httpx.ByteStream(body))

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            control = InstanceControl(service=SERVICE)
            counted = replace(backend("gpu"), scaling=Scaling.COUNT, instances=control)
            with pytest.raises(BackendError) as failed:
                await CloudRunInstances(http, NotedCredentials()).set_count(counted, 1)
        assert failed.value.failure.status == 429
        assert "Quota" in failed.value.failure.body

    asyncio.run(story())


def test_pauses_grow_and_respect_what_the_api_asks_for() -> None:
    refused = status_failure(429, "", {})
    assert [pause_s(tries, refused) for tries in (1, 2, 3, 9)] == [1.0, 2.0, 4.0, 30.0]
    assert pause_s(1, status_failure(429, "", {"retry-after": "7"})) == 7.0
    assert not changed_nothing(Failure(kind=FailureKind.READ_TIMEOUT))
    assert not changed_nothing(status_failure(503, "", {}))
