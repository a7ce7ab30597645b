"""How is a host called only at an address that the egress policy allows?

The host name is resolved once and every address is checked. The connection goes to the checked address itself, so a
name that changes its address in between (DNS rebinding) has no effect.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from clients.plain_answers import PLAIN, LongAnswerError, PackedAnswerError, read_plain
from clients.sources.port import MAX_ANSWER_BYTES, SourceError, SourceTokens
from clients.tls import tls_context
from domain.sources.catalog import Source
from domain.sources.egress_policy import Network, rejection_reason

type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

REQUEST_ERRORS = (httpx.HTTPError, httpx.InvalidURL, OSError)
REQUEST_HEADERS: Mapping[str, str] = {"accept": "application/json", **PLAIN}

PORTS: Mapping[str, int] = {"http": 80, "https": 443}


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class PinnedAddress(Struct, frozen=True, kw_only=True):
    """A host and port, and the checked address of the host."""

    scheme: str
    host: str
    port: int
    address: str

    @property
    def origin(self) -> str:
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{shown}:{self.port}"

    @property
    def authority(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == PORTS[self.scheme] else f"{name}:{self.port}"


class Destination(Protocol):
    """A configured host, and the networks that its address may be in."""

    @property
    def address(self) -> str: ...

    @property
    def private(self) -> bool: ...

    @property
    def networks(self) -> tuple[Network, ...]: ...


class NotConnectedError(SourceError):
    """No request was sent: the host is unknown or not allowed, or there is no connection to it."""


class HttpAnswer(Struct, frozen=True, kw_only=True):
    """An answer that is neither compressed nor too large."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's classes


class PinnedClient:
    """Calls hosts over HTTP. `loopback` allows addresses of this machine."""

    def __init__(self, http: httpx.AsyncClient, *, loopback: bool, resolve: Resolve = resolve) -> None:
        self.http = http
        self.loopback = loopback
        self.resolve = resolve

    async def pin(self, source: Destination) -> PinnedAddress:
        """Resolve a host and check all its addresses. Raises NotConnectedError."""
        parts = urlsplit(source.address)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        try:
            addresses = await self.resolve(host, port)
        except (OSError, UnicodeError):
            raise NotConnectedError("its host name cannot be resolved") from None
        for address in addresses:
            problem = rejection_reason(
                address, private=source.private, networks=source.networks, loopback=self.loopback
            )
            if problem:
                raise NotConnectedError(f"its host is not allowed: {problem}")
        if not addresses:
            raise NotConnectedError("its host name cannot be resolved")
        return PinnedAddress(scheme=parts.scheme, host=host, port=port, address=addresses[0])

    async def call(
        self,
        source: Source,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        most: int = MAX_ANSWER_BYTES,
    ) -> bytes:
        """Return the body of a successful answer, of at most `most` bytes. Raises SourceError."""
        answer = await self.exchange(
            source, method, path, query=query, body=body, headers=headers, deadline_s=source.deadline_s, most=most
        )
        if not answer.is_success:
            raise SourceError(f"it answered with status {answer.status}")
        return answer.body

    async def exchange(
        self,
        source: Destination,
        method: str,
        path: str,
        *,
        deadline_s: float,
        query: Sequence[tuple[str, str]] = (),
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        most: int = MAX_ANSWER_BYTES,
        reads_errors: bool = False,
    ) -> HttpAnswer:
        """Send one request and return its answer; a redirect is an answer. No header of our caller is forwarded.

        The body of an answer without success is read where `reads_errors`.

        Raises SourceError; NotConnectedError where nothing was sent.
        """
        pin = await self.pin(source)
        request = httpx.Request(
            method,
            f"{pin.origin}{path}",
            params=list(query) or None,
            json=body,
            headers={**REQUEST_HEADERS, **(headers or {}), "host": pin.authority},
            extensions={"sni_hostname": pin.host, "timeout": httpx.Timeout(deadline_s).as_dict()},
        )
        try:
            response = await self.http.send(request, stream=True, follow_redirects=False)
            try:
                is_read = response.is_success or reads_errors
                body_read = await read_body(response, most=most) if is_read else b""
                return HttpAnswer(status=response.status_code, body=body_read)
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL) as error:
            raise NotConnectedError(f"it cannot be reached ({type(error).__name__})") from None
        except REQUEST_ERRORS as error:
            raise SourceError(f"its answer broke off ({type(error).__name__})") from None


async def read_body(response: httpx.Response, *, most: int) -> bytes:
    try:
        return await read_plain(response, most=most)
    except PackedAnswerError:
        raise SourceError("its answer is compressed, which is not supported") from None
    except LongAnswerError:
        raise SourceError(f"its answer has more than {most} bytes") from None


async def authorization_headers(tokens: SourceTokens, scope: str) -> dict[str, str]:
    return {"authorization": f"Bearer {await tokens.token(scope)}"} if scope else {}


def pinned_client(*, loopback: bool) -> PinnedClient:
    """Return a client whose connections are not reused, so that each one goes to an address that was checked for it."""
    limits = httpx.Limits(max_keepalive_connections=0)
    http = httpx.AsyncClient(limits=limits, trust_env=False, verify=tls_context())
    return PinnedClient(http, loopback=loopback)
