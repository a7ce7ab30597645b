"""How is a webhook delivered to an endpoint, and which result does the answer mean?"""

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from clients.clock import Clock
from clients.sources.egress import REQUEST_ERRORS, PinnedAddress, PinnedClient, pinned_client
from clients.sources.port import SourceError
from domain.sources.catalog import Source, SourceKind
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoint

DEADLINE_S: Final = 20.0


class DeliveryResult(StrEnum):
    """Delivered; the endpoint is gone for good; nothing is left to deliver; or the delivery is retried later."""

    DELIVERED = "taken"
    GONE = "gone"
    REFUSED = "refused"
    RETRY_LATER = "later"


class DeliveryReceipt(Struct, frozen=True, kw_only=True):
    """The result of a delivery and its reason, without any content of the answer."""

    result: DeliveryResult
    reason: str = ""


class WebhookSender:
    """Posts to endpoints, each at an address that is checked for this one call. A redirect counts as a failure."""

    def __init__(self, client: PinnedClient, clock: Clock, *, deadline_s: float = DEADLINE_S) -> None:
        self.client = client
        self.clock = clock
        self.deadline_s = deadline_s

    async def send(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> DeliveryReceipt:
        """Try one delivery, within the deadline."""
        try:
            async with asyncio.timeout(self.deadline_s):
                pin = await self.client.pin(source_of(endpoint))
                headers = delivery.headers(endpoint.secrets, now=self.clock.now())
                return receipt_of(await self.post(endpoint, pin, headers, delivery.body))
        except SourceError as error:
            return retry_later(str(error))
        except TimeoutError:
            return retry_later("it did not answer in time")
        except REQUEST_ERRORS as error:
            return retry_later(f"it cannot be reached ({type(error).__name__})")

    async def post(self, endpoint: WebhookEndpoint, pin: PinnedAddress, headers: Mapping[str, str], body: bytes) -> int:
        parts = urlsplit(endpoint.url)
        request = httpx.Request(
            "POST",
            f"{pin.origin}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else ""),
            content=body,
            headers={**headers, "host": pin.authority},
            extensions={"sni_hostname": pin.host, "timeout": httpx.Timeout(self.deadline_s).as_dict()},
        )
        response = await self.client.http.send(request, stream=True, follow_redirects=False)
        await response.aclose()
        return response.status_code


def build_sender(clock: Clock, *, loopback: bool) -> WebhookSender:
    """Return a sender that does not reuse connections."""
    return WebhookSender(pinned_client(loopback=loopback), clock)


def source_of(endpoint: WebhookEndpoint) -> Source:
    """Return an endpoint's address as a source, for the egress check: private networks are not allowed."""
    parts = urlsplit(endpoint.url)
    return Source(name=endpoint.name, kind=SourceKind.HTTP, address=f"{parts.scheme}://{parts.netloc}", private=False)


def receipt_of(status: int) -> DeliveryReceipt:
    if 200 <= status < 300:  # noqa: PLR2004 - the success statuses of HTTP
        return DeliveryReceipt(result=DeliveryResult.DELIVERED)
    return DeliveryReceipt(
        result=DeliveryResult.GONE if status == HTTPStatus.GONE else DeliveryResult.RETRY_LATER,
        reason=f"it answered with status {status}",
    )


def retry_later(reason: str) -> DeliveryReceipt:
    return DeliveryReceipt(result=DeliveryResult.RETRY_LATER, reason=reason)
