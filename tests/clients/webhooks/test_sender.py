"""Does an endpoint get what is said, signed, at the address that was judged, and is it understood?"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from openai import OpenAI

from clients.clock import SystemClock
from clients.sources.egress import PinnedClient
from clients.webhooks.sender import DeliveryReceipt, DeliveryResult, WebhookSender, build_sender
from domain.log.events import ResponseStatus
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoint
from tests.fakes.worlds import OWNER

SECRET = b"s" * 32
WRITTEN = "whsec_c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M="
ANNOUNCEMENT = WebhookDelivery(
    owner=OWNER,
    response=f"resp_{'a' * 24}{'b' * 24}",
    status=ResponseStatus.FAILED,
    at=1_795_312_345.9,
    endpoint="main",
    due_at=0.0,
)


@dataclass(slots=True)
class Receiver:
    """Answers with a status, and remembers what it was sent."""

    status: int = 204
    wait_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    bodies: list[bytes] = field(default_factory=list[bytes])
    requests: list[web.Request] = field(default_factory=list[web.Request])

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.requests.append(request)
        await asyncio.sleep(self.wait_s)
        return web.Response(status=self.status, headers=self.headers)

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.take)
        return application


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def endpoint(receiver: Receiver) -> AsyncIterator[WebhookEndpoint]:
    async with TestServer(receiver.application()) as server:
        yield WebhookEndpoint(name="main", url=str(server.make_url("/hooks?from=us")), secrets=(SECRET,))


async def told(endpoint: WebhookEndpoint, *, loopback: bool = True) -> DeliveryReceipt:
    return await build_sender(SystemClock(), loopback=loopback).send(endpoint, ANNOUNCEMENT)


async def test_a_receiver_with_the_sdk_unwraps_what_it_is_sent(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    assert await told(endpoint) == DeliveryReceipt(result=DeliveryResult.TAKEN)
    [request], [body] = receiver.requests, receiver.bodies
    assert (request.method, request.path_qs) == ("POST", "/hooks?from=us")
    assert request.content_type == "application/json"
    event = OpenAI(api_key="none", webhook_secret=WRITTEN).webhooks.unwrap(body, dict(request.headers))
    assert event.type == "response.failed"
    assert json.loads(body)["created_at"] == 1_795_312_345


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, DeliveryResult.TAKEN),
        (202, DeliveryResult.TAKEN),
        (410, DeliveryResult.GONE),
        (301, DeliveryResult.LATER),
        (307, DeliveryResult.LATER),
        (400, DeliveryResult.LATER),
        (404, DeliveryResult.LATER),
        (429, DeliveryResult.LATER),
        (500, DeliveryResult.LATER),
        (503, DeliveryResult.LATER),
    ],
)
async def test_a_status_says_what_becomes_of_a_message(
    receiver: Receiver, endpoint: WebhookEndpoint, status: int, verdict: DeliveryResult
) -> None:
    receiver.status = status
    assert (await told(endpoint)).result is verdict
    assert len(receiver.bodies) == 1


async def test_a_redirect_is_not_followed(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    other = Receiver()
    async with TestServer(other.application()) as elsewhere:
        receiver.status, receiver.headers = 308, {"location": str(elsewhere.make_url("/"))}
        assert (await told(endpoint)).reason == "it answered with status 308"
    assert other.requests == []


async def test_a_receiver_that_dawdles_is_told_again_later(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    receiver.wait_s = 30
    sender = WebhookSender(build_sender(SystemClock(), loopback=True).caller, SystemClock(), deadline_s=0.2)
    assert (await sender.send(endpoint, ANNOUNCEMENT)).result is DeliveryResult.LATER


async def test_nobody_there_is_told_again_later() -> None:
    receipt = await told(WebhookEndpoint(name="main", url="http://127.0.0.1:1/x", secrets=(SECRET,)))
    assert receipt.result is DeliveryResult.LATER
    assert "can't be reached" in receipt.reason


async def test_this_machine_is_not_called_unless_the_settings_let_it(
    receiver: Receiver, endpoint: WebhookEndpoint
) -> None:
    assert (
        await told(endpoint, loopback=False)
    ).reason == "its host is refused: it is a loopback address of this machine"
    assert receiver.requests == []


@pytest.mark.parametrize(
    "address", ["10.0.0.4", "192.168.1.1", "fd00::1", "169.254.169.254", "::ffff:169.254.169.254", "168.63.129.16"]
)
async def test_a_private_address_behind_a_public_name_is_refused(address: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", address]

    caller = PinnedClient(httpx.AsyncClient(trust_env=False), loopback=True, resolve=resolve)
    receipt = await WebhookSender(caller, SystemClock()).send(
        WebhookEndpoint(name="main", url="https://hooks.example.com/x", secrets=(SECRET,)), ANNOUNCEMENT
    )
    assert receipt.result is DeliveryResult.LATER
    assert receipt.reason.startswith("its host is refused")


async def test_the_call_goes_to_the_address_that_was_judged_under_the_hosts_own_name(
    receiver: Receiver, endpoint: WebhookEndpoint
) -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    caller = PinnedClient(httpx.AsyncClient(trust_env=False), loopback=True, resolve=resolve)
    named = replace(endpoint, url=endpoint.url.replace("127.0.0.1", "hooks.example.com"))
    assert (await WebhookSender(caller, SystemClock()).send(named, ANNOUNCEMENT)).result is DeliveryResult.TAKEN
    assert asked == ["hooks.example.com"]
    assert receiver.requests[0].host.startswith("hooks.example.com:")
