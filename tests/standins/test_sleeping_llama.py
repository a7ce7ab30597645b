"""Is the real llama.cpp server asleep for the product, too, once it has unloaded its model?"""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.contracts.backends.scene import CONTEXT, asking, backend_of
from tests.end_to_end.waiting import eventually
from tests.fakes.backends import http_backend
from tests.standins.programs import started_program

pytestmark = pytest.mark.slow


@pytest.fixture
async def asleep() -> AsyncIterator[httpx.AsyncClient]:
    """A server that has unloaded its model."""
    options = ("--context", "512", "--slots", "1", "--sleep-idle-s", "1")
    with started_program("standins.llama", *options) as (_, port):
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=CONTEXT) as http:
            await eventually(lambda: sleeps(http, expected=True), what="an idle server that sleeps")
            yield http


async def sleeps(http: httpx.AsyncClient, *, expected: bool) -> bool | None:
    return (await http.get("/props")).json()["is_sleeping"] is expected or None


async def test_a_list_of_models_does_not_wake_it_but_the_probe_of_its_system_does(asleep: httpx.AsyncClient) -> None:
    models = await asleep.get("/v1/models")
    assert [each["id"] for each in models.json()["data"]] == ["smollm2-135m-instruct"]
    assert (await asleep.get("/health")).status_code == 200
    assert await sleeps(asleep, expected=True)
    backend = http_backend(backend_of("llama.cpp", f"{str(asleep.base_url).rstrip('/')}/v1"), asleep, silence_s=60)
    await backend.probe()
    assert await sleeps(asleep, expected=False)
    async with backend.stream(asking("What is the capital of France?", max_output_tokens=8)) as pieces:
        assert [piece async for piece in pieces]
