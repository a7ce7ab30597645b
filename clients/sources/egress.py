"""How is a host called only at an address that the egress policy allows?

The host name is resolved once and every address is checked. The connection goes to the checked address itself, so a
name that changes its address in between (DNS rebinding) has no effect.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from clients.sources.port import MAX_ANSWER_BYTES, SourceError, SourceTokens
from domain.sources.catalog import Source
from domain.sources.egress_policy import rejection_reason

type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

REQUEST_ERRORS = (httpx.HTTPError, httpx.InvalidURL, OSError)
REQUEST_HEADERS: Mapping[str, str] = {"accept": "application/json", "accept-encoding": "identity"}
"""Compressed answers are not accepted: one could expand far beyond the limit."""

PORTS: Mapping[str, int] = {"http": 80, "https": 443}


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedAddress:
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


class PinnedClient:
    """Calls hosts over HTTP. `loopback` allows addresses of this machine."""

    def __init__(self, http: httpx.AsyncClient, *, loopback: bool, resolve: Resolve = resolve) -> None:
        self.http = http
        self.loopback = loopback
        self.resolve = resolve

    async def pin(self, source: Source) -> PinnedAddress:
        """Resolve a source's host and check all its addresses. Raises SourceError."""
        parts = urlsplit(source.address)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        try:
            addresses = await self.resolve(host, port)
        except (OSError, UnicodeError):
            raise SourceError("its host name cannot be resolved") from None
        for address in addresses:
            problem = rejection_reason(
                address, private=source.private, networks=source.networks, loopback=self.loopback
            )
            if problem:
                raise SourceError(f"its host is not allowed: {problem}")
        if not addresses:
            raise SourceError("its host name cannot be resolved")
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
    ) -> bytes:
        """Return the body of a successful answer. A redirect is an error. No header of our caller is forwarded.

        Raises SourceError.
        """
        pin = await self.pin(source)
        request = httpx.Request(
            method,
            f"{pin.origin}{path}",
            params=list(query) or None,
            json=body,
            headers={**REQUEST_HEADERS, **(headers or {}), "host": pin.authority},
            extensions={"sni_hostname": pin.host, "timeout": httpx.Timeout(source.deadline_s).as_dict()},
        )
        try:
            response = await self.http.send(request, stream=True, follow_redirects=False)
            try:
                return await read_body(response)
            finally:
                await response.aclose()
        except REQUEST_ERRORS as error:
            raise SourceError(f"it cannot be reached ({type(error).__name__})") from None


async def read_body(response: httpx.Response) -> bytes:
    if not response.is_success:
        raise SourceError(f"it answered with status {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise SourceError("its answer is compressed, which is not supported")
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > MAX_ANSWER_BYTES:
            raise SourceError(f"its answer has more than {MAX_ANSWER_BYTES} bytes")
    return bytes(data)


async def authorization_headers(tokens: SourceTokens, scope: str) -> dict[str, str]:
    return {"authorization": f"Bearer {await tokens.token(scope)}"} if scope else {}
