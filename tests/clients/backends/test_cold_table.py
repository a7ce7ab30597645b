"""Is each failure that a backend sends over the wire classified as its signatures say, with its delay?"""

import asyncio
import time
import tomllib
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from copy import replace
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from clients.backends.port import BackendError
from domain.config.fleet_toml import fleet_from_toml
from domain.content.items import Item
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Diagnosis, FailureClass, diagnose
from domain.fleet.retry_policy import Failover, GiveUp, RetryLater, retry_decision
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from standins.clock import now
from standins.cloud_run.invoker_check import GoogleKeySet, InvokerCheck
from standins.processes.child_process import python_command
from tests.clients.backends.cold_rows import LOOKALIKES, ROWS, Row
from tests.clients.backends.model_server import DONE, all_pieces, backend_at, call, end_of, frame, parsed, usage
from tests.contracts.backends.scene import PROMPTED, TEMPLATE, UNCOUNTED
from tests.domain.fleets import SHIPPED_PRICES, SHIPPED_SYSTEMS, shipped_text
from tests.fakes.backends import http_backend
from tests.fakes.clocks import START, FakeClock
from tests.fakes.servers.web_servers import handled_by, served
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import PRICE, World
from tests.standins.cloud_run.harness import SCRIPTED, Gpu, running_gpu

TEXT = shipped_text("fleet.toml")
SYSTEMS: Mapping[str, Any] = tomllib.loads(shipped_text("systems.toml"))["systems"]
MODAL = {"MODAL_KEY": "key", "MODAL_SECRET": "secret"}


def backend_of(system: str, url: str) -> Backend:
    """Return a backend of a shipped system, with that system's rows and probe, without its credentials."""
    url = f"{url}/functions/f" if system == "lambda-invoke" else url
    entry = f"""
        [backends.tried]
        model = "scripted"
        system = "{system}"
        url = "{url}"
        price = "{"cloud-run-l4" if system in UNCOUNTED else "scripted"}"
        auth = {{ kind = "none" }}
        {TEMPLATE if system in PROMPTED else ""}
        limits = {{ context_tokens = 4096, max_output_tokens = 512, concurrency = 4, request_timeout_s = 20 }}
        speed = {{ prefill_tokens_s = 1000, decode_tokens_s = 50 }}
    """
    return fleet_from_toml(TEXT + entry, MODAL, SHIPPED_PRICES, SHIPPED_SYSTEMS).backends["tried"]


async def diagnosed(backend: Backend, text: str | None = None, *, at: float | None = None) -> Diagnosis:
    """Request a text, or probe, and return the diagnosis of the failure."""
    async with httpx.AsyncClient(trust_env=False) as http:
        client = http_backend(backend, http, silence_s=5)
        with pytest.raises(BackendError) as caught:
            await (client.probe() if text is None else all_pieces(client, replace(call(), items=(user_message(text),))))
    return diagnose(caught.value.failure, backend.signatures, now=now() if at is None else at)


def user_message(text: str) -> Item:
    return replace(call().items[-1], text=text)


@asynccontextmanager
async def server_answering(status: int, body: str = "", **headers: str) -> AsyncGenerator[str]:
    """Serve one answer to every request."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body.encode(), headers=headers)

    async with serving_all(answer) as url:
        yield url


@asynccontextmanager
async def serving_all(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncGenerator[str]:
    async with served(handled_by(answer)) as url:
        yield f"{url}/v1"


def row_name(row: Row) -> str:
    return f"{row.system} {row.status or 'refused'} {row.failure_class}"


@pytest.mark.parametrize("text", [None, "hello"], ids=["probe", "request"])
@pytest.mark.parametrize("row", [*ROWS, *LOOKALIKES], ids=row_name)
async def test_a_failure_is_classified_by_its_row(row: Row, text: str | None) -> None:
    if row.status is None:
        found = await diagnosed(backend_of(row.system, "http://127.0.0.1:1/v1"), text)
    else:
        async with server_answering(row.status, row.body, **(row.headers or {})) as url:
            found = await diagnosed(backend_of(row.system, url), text)
    assert found.failure_class is row.failure_class
    notes = [each["note"] for each in SYSTEMS[row.system].get("signatures", ())]
    assert [note in found.reason for note in notes] == [place == row.place for place in range(len(notes))]


def test_every_row_of_the_shipped_file_is_tested() -> None:
    shipped = {
        (system, place) for system, table in SYSTEMS.items() for place in range(len(table.get("signatures", ())))
    }
    assert {(row.system, row.place) for row in ROWS} == shipped


@pytest.mark.parametrize("reason", ["eos_token", "stop_sequence"])
async def test_the_finish_reasons_of_text_generation_inference_end_an_answer_well(reason: str) -> None:
    backend = backend_of("hf-endpoints", "http://model/v1")
    assert end_of(await parsed(frame("a", reason=reason), DONE, backend=backend)).reason == "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """How the GPU service is configured, at fifty times the speed of real time, and the failure that follows."""

    failure_class: FailureClass
    reason_part: str
    options: Mapping[str, Any]
    command: tuple[str, ...] = tuple(SCRIPTED)
    invoker_check: InvokerCheck | None = None
    queued: int = 0
    text: str | None = None


REJECT_ALL = InvokerCheck(keys=GoogleKeySet("http://127.0.0.1:1/certs"), clock=now)
SCENES = {
    "start too slow": Scene(
        failure_class=FailureClass.COLD, reason_part="no instance took the request", options={"average_start": 1}
    ),
    "queue full": Scene(
        failure_class=FailureClass.COLD, reason_part="found no instance ready", options={"most_waiting": 1}, queued=1
    ),
    "start fails": Scene(
        failure_class=FailureClass.COLD,
        reason_part="found no instance ready",
        options={},
        command=tuple(python_command("standins.scripted", "--no-such-option")),
    ),
    "request times out": Scene(
        failure_class=FailureClass.INDETERMINATE, reason_part="timed out", options={"timeout": 5}
    ),
    "caller not allowed": Scene(
        failure_class=FailureClass.BROKEN, reason_part="roles/run.invoker", options={}, invoker_check=REJECT_ALL
    ),
    "model throttles": Scene(
        failure_class=FailureClass.THROTTLED, reason_part="quota", options={"start": 0, "speed": 1}, text="FAIL 429"
    ),
    "model fails": Scene(
        failure_class=FailureClass.BROKEN,
        reason_part="an error of its own",
        options={"start": 0, "speed": 1},
        text="FAIL 500",
    ),
    "connection resets": Scene(
        failure_class=FailureClass.INDETERMINATE,
        reason_part="connection broke",
        options={"start": 0, "speed": 1},
        text="FAIL reset",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
async def test_the_failures_of_the_gpu_service_are_classified(tmp_path: Path, scene: Scene) -> None:
    options: dict[str, Any] = {"start": 1000, "speed": 50, **scene.options}
    async with (
        running_gpu(tmp_path, command=list(scene.command), invoker_check=scene.invoker_check, **options) as service,
        queued_requests(service, scene.queued),
    ):
        found = await diagnosed(backend_of("cloud-run", f"{str(service.client.base_url).rstrip('/')}/v1"), scene.text)
    assert found.failure_class is scene.failure_class
    assert scene.reason_part in found.reason


@asynccontextmanager
async def queued_requests(service: Gpu, queued: int) -> AsyncGenerator[None]:
    """Queue this many other requests at the service."""
    others = [asyncio.create_task(service.ask()) for _ in range(queued)]

    async def is_queued(one: Gpu) -> bool:
        return (await one.admin("state"))["waiting"] == queued

    await service.wait_until(is_queued)
    try:
        yield
    finally:
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def pacific_time_zone(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Set this machine's time zone to one that HTTP dates do not use."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


NOON = 1795348800.0
HALF_PAST = "Sun, 22 Nov 2026 12:00:30 GMT"
RETRY_AFTER: dict[str, tuple[dict[str, str], float | None]] = {
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


@pytest.mark.usefixtures("pacific_time_zone")
@pytest.mark.parametrize(("headers", "delay_s"), RETRY_AFTER.values(), ids=RETRY_AFTER)
async def test_every_form_of_retry_after_is_honoured(headers: dict[str, str], delay_s: float | None) -> None:
    async with server_answering(429, "slow down", **headers) as url:
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
async def test_a_turn_waits_for_the_requested_delay_and_completes(headers: dict[str, str], waits_s: float) -> None:
    async with throttled(2, headers) as (world, response):
        await world.run(response)
        log = await world.log(response)
    assert (log.status, log.items[0].text) == (ResponseStatus.COMPLETED, "one")
    assert world.clock.now() - START >= waits_s


async def test_a_turn_fails_at_once_when_the_requested_delay_passes_its_deadline() -> None:
    async with throttled(2, {"Retry-After": "31536000"}) as (world, response):
        await world.run(response)
        log = await world.log(response)
    assert log.ending
    assert (log.status, log.ending.code) == (ResponseStatus.FAILED, "rate_limit_exceeded")
    assert "would pass the deadline" in log.ending.message
    assert world.clock.now() - START <= 1


@asynccontextmanager
async def throttled(times: int, headers: dict[str, str]) -> AsyncGenerator[tuple[World, Response]]:
    """Serve a model that answers 429 this many times first; give a turn that uses it, on a fake clock."""
    left = [429] * times

    async def answer(_: web.Request) -> web.Response:
        if left:
            return web.Response(status=left.pop(), headers=headers)
        said = b"".join((frame("one", reason="stop"), usage(), DONE))
        return web.Response(body=said, headers={"content-type": "text/event-stream"})

    async with serving_all(answer) as url, httpx.AsyncClient(trust_env=False) as http:
        clock = FakeClock()
        one = replace(backend_at(url), price=PRICE)
        client = http_backend(one, http, silence_s=5)
        world = World(store=MemoryStore(clock), clock=clock, backends={"main": (one, client)})
        yield world, await world.admit("hello", max_output_tokens=64)
