"""Does the host apply the limits of host.json?"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from devhost.http.throttle import Throttle, TooManyRequestsError
from tests.devhost.hosts import Durable, RunningHost, running


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = tmp_path_factory.mktemp("limits")
    with running("limits", folder, NOTES=str(folder), PYTHON_THREADPOOL_THREAD_COUNT="20") as host:
        yield host


async def test_requests_wait_for_their_turn_and_too_many_are_refused() -> None:
    throttle, released, running = Throttle(running=1, outstanding=2), asyncio.Event(), list[int]()

    async def ask(number: int) -> None:
        async with throttle.admit():
            running.append(number)
            await released.wait()

    first, second = asyncio.create_task(ask(1)), asyncio.create_task(ask(2))
    while throttle.count < 2:  # noqa: ASYNC110 - the two tasks only have to be begun
        await asyncio.sleep(0)
    with pytest.raises(TooManyRequestsError):
        await ask(3)
    assert running == [1]
    released.set()
    await asyncio.gather(first, second)
    assert (running, throttle.count) == ([1, 2], 0)


def most(folder: Path, kind: str) -> int:
    return max(int(line) for line in (folder / kind).read_text(encoding="utf-8").splitlines())


def test_concurrency_follows_host_json(host: RunningHost) -> None:
    with host.client() as client:
        durable = Durable(http=client)
        instances = [durable.start("many") for _ in range(6)]
        assert {durable.wait(instance)["output"] for instance in instances} == {"done"}
    assert {kind: most(host.folder, kind) for kind in ("activity", "orchestrator", "entity")} == {
        "activity": 2,
        "orchestrator": 1,
        "entity": 3,
    }


def test_a_function_that_exceeds_the_function_timeout_fails_by_name(host: RunningHost) -> None:
    with host.client() as client:
        output = Durable(http=client).run("asks_in_vain")["output"]
        assert "Timeout value of 2 s exceeded by function: never_ends" in output
        assert client.get("/api/hangs").status_code == 504
    assert "function hangs ran longer than functionTimeout (2 s): stopping the worker" in host.log
