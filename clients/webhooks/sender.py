"""How is an endpoint told something, and what did it make of it?"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import httpx

from clients.clock import Clock
from clients.sources.egress import ODD, PinnedAddress, PinnedClient
from clients.sources.port import SourceError
from domain.sources.catalog import Source, SourceKind
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoint

DEADLINE_S: Final = 20.0
GONE: Final = 410


class DeliveryResult(StrEnum):
    """What an endpoint made of a message: it has it; it wants no more, ever; or it may want it later."""

    TAKEN = "taken"
    GONE = "gone"
    LATER = "later"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReceipt:
    """A verdict, and why: nothing of what the endpoint said is in it."""

    result: DeliveryResult
    reason: str = ""


class WebhookSender:
    """Posts to endpoints, each at an address that was judged for this one call. A redirect is a refusal."""

    def __init__(self, caller: PinnedClient, clock: Clock, *, deadline_s: float = DEADLINE_S) -> None:
        self.caller = caller
        self.clock = clock
        self.deadline_s = deadline_s

    async def send(self, endpoint: WebhookEndpoint, announcement: WebhookDelivery) -> DeliveryReceipt:
        """Tell an endpoint once, within the deadline."""
        try:
            async with asyncio.timeout(self.deadline_s):
                pin = await self.caller.pin(place_of(endpoint))
                headers = announcement.headers(endpoint.secrets, now=self.clock.now())
                return receipt_of(await self.status(endpoint, pin, headers, announcement.body))
        except SourceError as error:
            return later(str(error))
        except TimeoutError:
            return later("it did not answer in time")
        except ODD as error:
            return later(f"it can't be reached ({type(error).__name__})")

    async def status(
        self, endpoint: WebhookEndpoint, pin: PinnedAddress, headers: Mapping[str, str], body: bytes
    ) -> int:
        parts = urlsplit(endpoint.url)
        request = httpx.Request(
            "POST",
            f"{pin.origin}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else ""),
            content=body,
            headers={**headers, "host": pin.authority},
            extensions={"sni_hostname": pin.host, "timeout": httpx.Timeout(self.deadline_s).as_dict()},
        )
        response = await self.caller.http.send(request, stream=True, follow_redirects=False)
        await response.aclose()
        return response.status_code


def build_sender(clock: Clock, *, loopback: bool) -> WebhookSender:
    """Return a sender that keeps no connection."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return WebhookSender(PinnedClient(httpx.AsyncClient(limits=limits, trust_env=False), loopback=loopback), clock)


def place_of(endpoint: WebhookEndpoint) -> Source:
    """Return where an endpoint is, as the networking of sources asks for it: never in a private network."""
    parts = urlsplit(endpoint.url)
    return Source(name=endpoint.name, kind=SourceKind.HTTP, address=f"{parts.scheme}://{parts.netloc}", private=False)


def receipt_of(status: int) -> DeliveryReceipt:
    if 200 <= status < 300:  # noqa: PLR2004 - the class of what went well
        return DeliveryReceipt(result=DeliveryResult.TAKEN)
    return DeliveryReceipt(
        result=DeliveryResult.GONE if status == GONE else DeliveryResult.LATER,
        reason=f"it answered with status {status}",
    )


def later(reason: str) -> DeliveryReceipt:
    return DeliveryReceipt(result=DeliveryResult.LATER, reason=reason)
