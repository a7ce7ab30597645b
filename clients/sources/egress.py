"""How do we call a host that must lie in its networks, and nowhere else?

The name is resolved once, every address that it has is judged, and the connection goes to the address that was judged:
a name that changes its address in between changes nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from clients.sources.port import ANSWER_LIMIT, SourceError, SourceTokens
from domain.sources.catalog import Source
from domain.sources.egress_policy import rejection_reason

type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

ODD = (httpx.HTTPError, httpx.InvalidURL, OSError)
ACCEPTED: Mapping[str, str] = {"accept": "application/json", "accept-encoding": "identity"}
"""A packed answer could be far bigger than what comes over the wire."""

PORTS: Mapping[str, int] = {"http": 80, "https": 443}


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedAddress:
    """Where a source is: its own host and port, and the address that was judged."""

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
    """Calls sources over HTTP. `loopback`: the settings let sources lie on this machine."""

    def __init__(self, http: httpx.AsyncClient, *, loopback: bool, resolve: Resolve = resolve) -> None:
        self.http = http
        self.loopback = loopback
        self.resolve = resolve

    async def pin(self, source: Source) -> PinnedAddress:
        """Resolve a source's host and judge all its addresses; raises SourceError."""
        parts = urlsplit(source.address)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        try:
            addresses = await self.resolve(host, port)
        except (OSError, UnicodeError):
            raise SourceError("its host has no address") from None
        for address in addresses:
            problem = rejection_reason(
                address, private=source.private, networks=source.networks, loopback=self.loopback
            )
            if problem:
                raise SourceError(f"its host is refused: {problem}")
        if not addresses:
            raise SourceError("its host has no address")
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
        """Return the body of a successful answer. A redirect is no success; nothing of our caller's is sent on."""
        pin = await self.pin(source)
        request = httpx.Request(
            method,
            f"{pin.origin}{path}",
            params=list(query) or None,
            json=body,
            headers={**ACCEPTED, **(headers or {}), "host": pin.authority},
            extensions={"sni_hostname": pin.host, "timeout": httpx.Timeout(source.deadline_s).as_dict()},
        )
        try:
            response = await self.http.send(request, stream=True, follow_redirects=False)
            try:
                return await answer(response)
            finally:
                await response.aclose()
        except ODD as error:
            raise SourceError(f"it can't be reached ({type(error).__name__})") from None


async def answer(response: httpx.Response) -> bytes:
    if not response.is_success:
        raise SourceError(f"it answered with status {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise SourceError("its answer is packed, and nobody asked for that")
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > ANSWER_LIMIT:
            raise SourceError(f"its answer has more than {ANSWER_LIMIT} bytes")
    return bytes(data)


async def bearer(tokens: SourceTokens, scope: str) -> dict[str, str]:
    return {"authorization": f"Bearer {await tokens.token(scope)}"} if scope else {}
