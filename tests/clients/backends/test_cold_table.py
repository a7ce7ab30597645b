"""Does each answer that a backend may give over the wire mean what the cold table says, and name its delay?"""

import asyncio
import time
import tomllib
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from clients.backends.openai_backend import OpenAIBackend
from clients.backends.port import BackendError
from domain.config.fleet_toml import fleet_from_toml
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Diagnosis, FailureClass, diagnose
from domain.fleet.retry_policy import Failover, GiveUp, RetryLater, retry_decision
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from standins.clock import now
from standins.cloud_run.invoker_check import GoogleKeySet, InvokerCheck
from standins.processes.child_process import python_command
from tests.clients.backends.model_server import DONE, backend_at, call, frame, heard, usage
from tests.domain.fleets import SHIPPED_PRICES, shipped_text
from tests.fakes.clocks import START, FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import PRICE, World
from tests.standins.cloud_run.harness import SCRIPTED, Gpu, running_gpu

TEXT = shipped_text("fleet.toml")
SYSTEMS: Mapping[str, Any] = tomllib.loads(TEXT)["systems"]
PAGE = {"server": "Google Frontend", "content-type": "text/html; charset=UTF-8"}
JSON = {"content-type": "application/json"}


def backend_of(system: str, url: str) -> Backend:
    """Return a backend of a system of the shipped file, with that system's rows."""
    entry = f"""
        [backends.tried]
        model = "scripted"
        system = "{system}"
        url = "{url}"
        price = "scripted"
        limits = {{ context_tokens = 4096, max_output_tokens = 512, concurrency = 4, request_timeout_s = 20 }}
        speed = {{ prefill_tokens_s = 1000, decode_tokens_s = 50 }}
    """
    return fleet_from_toml(TEXT + entry, {}, SHIPPED_PRICES).backends["tried"]


async def diagnosed(backend: Backend, text: str | None = None, *, at: float | None = None) -> Diagnosis:
    """Ask for a text, or knock, and return what the failure means."""
    async with httpx.AsyncClient(trust_env=False) as http:
        client = OpenAIBackend(backend, http, silence_s=5)
        with pytest.raises(BackendError) as caught:
            await (client.probe() if text is None else heard(client, replace(call(), items=asking(text))))
    return diagnose(caught.value.failure, backend.signatures, now=now() if at is None else at)


def asking(text: str) -> Any:
    given = call().items[-1]
    return (replace(given, text=text),)


@asynccontextmanager
async def door(status: int, body: str = "", **headers: str) -> AsyncGenerator[str]:
    """Serve one answer to whatever is asked."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body.encode(), headers=headers)

    async with serving_all(answer) as url:
        yield url


@asynccontextmanager
async def serving_all(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncGenerator[str]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An answer of a system, None where nothing listens; `place` is where its row stands among the system's."""

    system: str
    place: int
    posture: FailureClass
    status: int | None = None
    body: str = ""
    headers: Mapping[str, str] | None = None


ROWS = (
    Row(system="cloud-run", place=0, posture=FailureClass.COLD, status=429, body="Rate exceeded.", headers=PAGE),
    Row(system="cloud-run", place=1, posture=FailureClass.COLD, status=500, body="<h1>Server Error</h1>", headers=PAGE),
    Row(system="cloud-run", place=1, posture=FailureClass.COLD, status=503, body="Service Unavailable", headers=PAGE),
    Row(system="cloud-run", place=2, posture=FailureClass.INDETERMINATE, status=504, body="upstream request timeout"),
    Row(system="cloud-run", place=3, posture=FailureClass.BROKEN, status=401, headers=PAGE),
    Row(system="cloud-run", place=4, posture=FailureClass.BROKEN, status=403, headers=PAGE),
    Row(system="vertex", place=0, posture=FailureClass.COLD, status=429, body="Model is not yet ready for inference."),
    Row(system="hf-endpoints", place=0, posture=FailureClass.COLD, status=503, body="503 Service Unavailable"),
    Row(system="hf-endpoints", place=0, posture=FailureClass.COLD, status=502),
    Row(
        system="llama.cpp", place=0, posture=FailureClass.COLD, status=503, body='{"error":{"message":"Loading model"}}'
    ),
    Row(system="vllm", place=0, posture=FailureClass.COLD),
)

LOOKALIKES = (
    Row(system="cloud-run", place=-1, posture=FailureClass.THROTTLED, status=429, body='{"error":{}}', headers=JSON),
    Row(system="cloud-run", place=-1, posture=FailureClass.BROKEN, status=500, body='{"error":{}}', headers=JSON),
    Row(system="cloud-run", place=-1, posture=FailureClass.BROKEN),
    Row(system="vertex", place=-1, posture=FailureClass.THROTTLED, status=429, body="Quota exceeded", headers=JSON),
    Row(system="llama.cpp", place=-1, posture=FailureClass.BROKEN, status=503, body='{"error":{"message":"no slot"}}'),
    Row(system="vllm", place=-1, posture=FailureClass.BROKEN, status=503, body="engine dead"),
    Row(system="azure-openai", place=-1, posture=FailureClass.THROTTLED, status=429, headers={"retry-after-ms": "9"}),
    Row(system="azure-openai", place=-1, posture=FailureClass.CLIENT, status=400, body='{"error":{"code":"content"}}'),
)


def name_of(row: Row) -> str:
    return f"{row.system} {row.status or 'refused'} {row.posture}"


@pytest.mark.parametrize("asked", [None, "hello"], ids=["knocked", "asked"])
@pytest.mark.parametrize("row", [*ROWS, *LOOKALIKES], ids=name_of)
async def test_an_answer_means_what_its_row_says(row: Row, asked: str | None) -> None:
    if row.status is None:
        found = await diagnosed(backend_of(row.system, "http://127.0.0.1:1/v1"), asked)
    else:
        async with door(row.status, row.body, **(row.headers or {})) as url:
            found = await diagnosed(backend_of(row.system, url), asked)
    assert found.failure_class is row.posture
    notes = [each["note"] for each in SYSTEMS[row.system].get("signatures", ())]
    assert [note in found.reason for note in notes] == [place == row.place for place in range(len(notes))]


def test_no_row_of_the_shipped_file_goes_untried() -> None:
    shipped = {
        (system, place) for system, table in SYSTEMS.items() for place in range(len(table.get("signatures", ())))
    }
    assert {(row.system, row.place) for row in ROWS} == shipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """How the GPU service is set up, in time that passes fifty times as fast, and what that leads to."""

    posture: FailureClass
    said: str
    options: Mapping[str, Any]
    command: tuple[str, ...] = tuple(SCRIPTED)
    gate: InvokerCheck | None = None
    crowd: int = 0
    text: str | None = None


CLOSED = InvokerCheck(keys=GoogleKeySet("http://127.0.0.1:1/certs"), clock=now)
SCENES = {
    "gives up": Scene(posture=FailureClass.COLD, said="no instance took the request", options={"average_start": 1}),
    "is overrun": Scene(
        posture=FailureClass.COLD, said="found no instance ready", options={"most_waiting": 1}, crowd=1
    ),
    "does not start": Scene(
        posture=FailureClass.COLD,
        said="found no instance ready",
        options={},
        command=tuple(python_command("standins.scripted", "--no-such-option")),
    ),
    "times out": Scene(posture=FailureClass.INDETERMINATE, said="timed out", options={"timeout": 5}),
    "knows nobody": Scene(posture=FailureClass.BROKEN, said="roles/run.invoker", options={}, gate=CLOSED),
    "is throttled within": Scene(
        posture=FailureClass.THROTTLED, said="quota", options={"start": 0, "speed": 1}, text="FAIL 429"
    ),
    "breaks within": Scene(
        posture=FailureClass.BROKEN, said="an error of its own", options={"start": 0, "speed": 1}, text="FAIL 500"
    ),
    "breaks off": Scene(
        posture=FailureClass.INDETERMINATE,
        said="connection broke",
        options={"start": 0, "speed": 1},
        text="FAIL reset",
    ),
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
async def test_the_gpu_service_s_own_answers_mean_what_they_are(tmp_path: Path, scene: Scene) -> None:
    options: dict[str, Any] = {"start": 1000, "speed": 50, **scene.options}
    async with (
        running_gpu(tmp_path, command=list(scene.command), invoker_check=scene.gate, **options) as service,
        waiting(service, scene.crowd),
    ):
        found = await diagnosed(backend_of("cloud-run", f"{str(service.client.base_url).rstrip('/')}/v1"), scene.text)
    assert found.failure_class is scene.posture
    assert scene.said in found.reason


@asynccontextmanager
async def waiting(service: Gpu, crowd: int) -> AsyncGenerator[None]:
    """Let so many others stand in line before the service."""
    others = [asyncio.create_task(service.ask()) for _ in range(crowd)]

    async def stand(one: Gpu) -> bool:
        return (await one.admin("state"))["waiting"] == crowd

    await service.wait_until(stand)
    try:
        yield
    finally:
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def far_west(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Let this machine's own time be none of HTTP's."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


NOON = 1795348800.0
HALF_PAST = "Sun, 22 Nov 2026 12:00:30 GMT"
SPELLINGS: dict[str, tuple[dict[str, str], float | None]] = {
    "seconds": ({"Retry-After": "12"}, 12.0),
    "none to wait": ({"Retry-After": "0"}, 0.0),
    "a fraction": ({"Retry-After": "1.5"}, 1.5),
    "a date": ({"Retry-After": HALF_PAST}, 30.0),
    "a date as RFC 850 wrote it": ({"Retry-After": "Sunday, 22-Nov-26 12:00:30 GMT"}, 30.0),
    "a date as asctime writes it": ({"Retry-After": "Sun Nov 22 12:00:30 2026"}, 30.0),
    "a date that has passed": ({"Retry-After": formatdate(NOON - 3600, usegmt=True)}, 0.0),
    "a date in a hundred years": ({"Retry-After": formatdate(NOON + 3e9, usegmt=True)}, 86_400.0),
    "huge": ({"Retry-After": "31536000"}, 86_400.0),
    "beyond any number": ({"Retry-After": "9" * 400}, 86_400.0),
    "less than none": ({"Retry-After": "-5"}, None),
    "rubbish": ({"Retry-After": "soon"}, None),
    "no number": ({"Retry-After": "nan"}, None),
    "empty": ({"Retry-After": ""}, None),
    "missing": ({}, None),
    "milliseconds": ({"retry-after-ms": "250"}, 0.25),
    "milliseconds of Azure": ({"x-ms-retry-after-ms": "1500", "Retry-After": "60"}, 1.5),
    "milliseconds that are rubbish": ({"retry-after-ms": "?", "Retry-After": "3"}, 3.0),
}


@pytest.mark.usefixtures("far_west")
@pytest.mark.parametrize(("headers", "delay_s"), SPELLINGS.values(), ids=SPELLINGS)
async def test_retry_after_is_honoured_in_all_its_spellings(headers: dict[str, str], delay_s: float | None) -> None:
    async with door(429, "slow down", **headers) as url:
        found = await diagnosed(backend_of("azure-openai", url), "hello", at=NOON)
    assert (found.failure_class, found.delay_s) == (FailureClass.THROTTLED, delay_s)
    for deadline_s in (20.0, 100_000.0):
        alone, beside = (
            retry_decision(found, attempts=1, elapsed_s=0, deadline_s=deadline_s, has_alternative=others, random=0.5)
            for others in (False, True)
        )
        fits = (delay_s or 0.0) < deadline_s - 2
        assert isinstance(alone, RetryLater if fits else GiveUp)
        assert isinstance(beside, RetryLater if (delay_s or 0.0) <= 4 else Failover)
        if isinstance(alone, RetryLater):
            assert alone.delay_s >= (0.5 if delay_s is None else delay_s)


@pytest.mark.parametrize(
    ("headers", "waits_s"),
    [({"Retry-After": "12"}, 24.0), ({"Retry-After": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30.0), ({}, 1.0)],
)
async def test_a_turn_waits_as_long_as_it_is_asked_to_and_is_answered(headers: dict[str, str], waits_s: float) -> None:
    async with turning_away(2, headers) as (world, response):
        await world.run(response)
        log = await world.log(response)
    assert (log.status, log.items[0].text) == (ResponseStatus.COMPLETED, "one")
    assert world.clock.now() - START >= waits_s


async def test_a_turn_that_is_asked_to_wait_beyond_its_deadline_says_so_at_once() -> None:
    async with turning_away(2, {"Retry-After": "31536000"}) as (world, response):
        await world.run(response)
        log = await world.log(response)
    assert log.ending
    assert (log.status, log.ending.code) == (ResponseStatus.FAILED, "rate_limit_exceeded")
    assert "would pass the deadline" in log.ending.message
    assert world.clock.now() - START <= 1


@asynccontextmanager
async def turning_away(times: int, headers: dict[str, str]) -> AsyncGenerator[tuple[World, Response]]:
    """Serve a model that answers 429 so many times; give a turn that wants it, in the time of a fake clock."""
    left = [429] * times

    async def answer(_: web.Request) -> web.Response:
        if left:
            return web.Response(status=left.pop(), headers=headers)
        said = b"".join((frame("one", reason="stop"), usage(), DONE))
        return web.Response(body=said, headers={"content-type": "text/event-stream"})

    async with serving_all(answer) as url, httpx.AsyncClient(trust_env=False) as http:
        clock = FakeClock()
        one = replace(backend_at(url), price=PRICE)
        client = OpenAIBackend(one, http, silence_s=5)
        world = World(store=MemoryStore(clock), clock=clock, backends={"main": (one, client)})
        yield world, await world.admit("hello", max_output_tokens=64)
