"""Does an endpoint receive the signed webhook at the checked address, and is its answer understood?"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from copy import replace
from dataclasses import dataclass, field

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
SECRET_SETTING = "whsec_c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M="
DELIVERY = WebhookDelivery(
    owner=OWNER,
    response=f"resp_{'a' * 24}{'b' * 24}",
    status=ResponseStatus.FAILED,
    at=1_795_312_345.9,
    endpoint="main",
    due_at=0.0,
)


@dataclass(slots=True)
class Receiver:
    """Answers with a status and records the requests."""

    status: int = 204
    wait_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    bodies: list[bytes] = field(default_factory=list[bytes])
    requests: list[web.Request] = field(default_factory=list[web.Request])

    async def receive(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.requests.append(request)
        await asyncio.sleep(self.wait_s)
        return web.Response(status=self.status, headers=self.headers)

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.receive)
        return application


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def endpoint(receiver: Receiver) -> AsyncIterator[WebhookEndpoint]:
    async with TestServer(receiver.application()) as server:
        yield WebhookEndpoint(name="main", url=str(server.make_url("/hooks?from=us")), secrets=(SECRET,))


async def send(endpoint: WebhookEndpoint, *, loopback: bool = True) -> DeliveryReceipt:
    return await build_sender(SystemClock(), loopback=loopback).send(endpoint, DELIVERY)


async def test_the_official_sdk_verifies_and_parses_a_webhook(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    assert await send(endpoint) == DeliveryReceipt(result=DeliveryResult.DELIVERED)
    [request], [body] = receiver.requests, receiver.bodies
    assert (request.method, request.path_qs) == ("POST", "/hooks?from=us")
    assert request.content_type == "application/json"
    event = OpenAI(api_key="none", webhook_secret=SECRET_SETTING).webhooks.unwrap(body, dict(request.headers))
    assert event.type == "response.failed"
    assert json.loads(body)["created_at"] == 1_795_312_345


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, DeliveryResult.DELIVERED),
        (202, DeliveryResult.DELIVERED),
        (410, DeliveryResult.GONE),
        (301, DeliveryResult.RETRY_LATER),
        (307, DeliveryResult.RETRY_LATER),
        (400, DeliveryResult.RETRY_LATER),
        (404, DeliveryResult.RETRY_LATER),
        (429, DeliveryResult.RETRY_LATER),
        (500, DeliveryResult.RETRY_LATER),
        (503, DeliveryResult.RETRY_LATER),
    ],
)
async def test_the_status_of_the_answer_decides_the_result(
    receiver: Receiver, endpoint: WebhookEndpoint, status: int, expected: DeliveryResult
) -> None:
    receiver.status = status
    assert (await send(endpoint)).result is expected
    assert len(receiver.bodies) == 1


async def test_a_redirect_is_not_followed(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    other = Receiver()
    async with TestServer(other.application()) as elsewhere:
        receiver.status, receiver.headers = 308, {"location": str(elsewhere.make_url("/"))}
        assert (await send(endpoint)).reason == "it answered with status 308"
    assert other.requests == []


async def test_a_slow_receiver_is_retried_later(receiver: Receiver, endpoint: WebhookEndpoint) -> None:
    receiver.wait_s = 30
    sender = WebhookSender(build_sender(SystemClock(), loopback=True).client, SystemClock(), deadline_s=0.2)
    assert (await sender.send(endpoint, DELIVERY)).result is DeliveryResult.RETRY_LATER


async def test_an_unreachable_receiver_is_retried_later() -> None:
    receipt = await send(WebhookEndpoint(name="main", url="http://127.0.0.1:1/x", secrets=(SECRET,)))
    assert receipt.result is DeliveryResult.RETRY_LATER
    assert "cannot be reached" in receipt.reason


async def test_this_machine_is_called_only_if_the_settings_allow_it(
    receiver: Receiver, endpoint: WebhookEndpoint
) -> None:
    assert (
        await send(endpoint, loopback=False)
    ).reason == "its host is not allowed: it is a loopback address of this machine"
    assert receiver.requests == []


@pytest.mark.parametrize(
    "address", ["10.0.0.4", "192.168.1.1", "fd00::1", "169.254.169.254", "::ffff:169.254.169.254", "168.63.129.16"]
)
async def test_a_private_address_of_a_public_name_is_rejected(address: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", address]

    caller = PinnedClient(httpx.AsyncClient(trust_env=False), loopback=True, resolve=resolve)
    receipt = await WebhookSender(caller, SystemClock()).send(
        WebhookEndpoint(name="main", url="https://hooks.example.com/x", secrets=(SECRET,)), DELIVERY
    )
    assert receipt.result is DeliveryResult.RETRY_LATER
    assert receipt.reason.startswith("its host is not allowed")


async def test_the_call_goes_to_the_checked_address_with_the_host_name(
    receiver: Receiver, endpoint: WebhookEndpoint
) -> None:
    resolved: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        resolved.append(host)
        return ["127.0.0.1"]

    caller = PinnedClient(httpx.AsyncClient(trust_env=False), loopback=True, resolve=resolve)
    named = replace(endpoint, url=endpoint.url.replace("127.0.0.1", "hooks.example.com"))
    assert (await WebhookSender(caller, SystemClock()).send(named, DELIVERY)).result is DeliveryResult.DELIVERED
    assert resolved == ["hooks.example.com"]
    assert receiver.requests[0].host.startswith("hooks.example.com:")
