"""Does a request go only to an address that was checked, and is its answer bounded?"""

import asyncio
from collections.abc import Callable, Sequence
from copy import replace
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from clients.sources.egress import NotConnectedError, PinnedAddress, PinnedClient, authorization_headers
from clients.sources.port import SourceError
from domain.sources.catalog import Source, SourceKind

SOURCE = Source(name="orders", kind=SourceKind.HTTP, address="https://orders.internal", path="/rows")


class NoTokens:
    async def token(self, scope: str) -> str:
        raise SourceError(f"no access token for {scope}")


class Host:
    """A host in the private network, with its name service: `reply` answers each of the `requests`."""

    def __init__(self, reply: Callable[[httpx.Request], httpx.Response], *addresses: str) -> None:
        self.addresses: Sequence[str] = addresses or ("10.0.0.9",)
        self.asked: list[tuple[str, int]] = []
        self.requests: list[httpx.Request] = []
        self.reply = reply
        http = httpx.AsyncClient(transport=httpx.MockTransport(self.answer), trust_env=False)
        self.client = PinnedClient(http, loopback=False, resolve=self.resolve)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(0)
        self.asked.append((host, port))
        return self.addresses

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self.reply(request)


def replying(status: int = 200, content: bytes = b"{}", **headers: str) -> Host:
    return Host(lambda _: httpx.Response(status, stream=httpx.ByteStream(content), headers=headers))


def raising(error: Exception) -> Host:
    def reply(_: httpx.Request) -> httpx.Response:
        raise error

    return Host(reply)


async def call(host: Host, source: Source = SOURCE, **options: Any) -> bytes:
    return await host.client.call(source, "GET", "/rows", **options)


@pytest.mark.parametrize(
    ("address", "asked", "origin", "authority"),
    [
        ("https://orders.internal", ("orders.internal", 443), "https://10.0.0.9:443", "orders.internal"),
        ("http://orders.internal", ("orders.internal", 80), "http://10.0.0.9:80", "orders.internal"),
        ("http://orders.internal:443", ("orders.internal", 443), "http://10.0.0.9:443", "orders.internal:443"),
        ("https://[fd00::1]:8443", ("fd00::1", 8443), "https://10.0.0.9:8443", "[fd00::1]:8443"),
    ],
)
async def test_a_host_is_resolved_once_and_named_with_a_port_that_is_not_the_usual_one(
    address: str, asked: tuple[str, int], origin: str, authority: str
) -> None:
    host = replying()
    pin = await host.client.pin(replace(SOURCE, address=address))
    assert (host.asked, pin.origin, pin.authority) == ([asked], origin, authority)


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    pin = PinnedAddress(scheme="https", host="orders.internal", port=443, address="fd00::9")
    assert (pin.origin, pin.authority) == ("https://[fd00::9]:443", "orders.internal")


@pytest.mark.parametrize(
    "addresses", [["20.1.2.3"], ["127.0.0.1", "8.8.8.8"], ["10.0.0.1", "169.254.169.254"], ["10.0.0.1", "x"]]
)
async def test_one_address_that_is_not_allowed_rejects_the_host(addresses: list[str]) -> None:
    host = Host(lambda _: httpx.Response(200), *addresses)
    with pytest.raises(NotConnectedError, match="its host is not allowed"):
        await call(host)
    assert host.requests == []


async def test_a_host_without_an_address_gets_no_request() -> None:
    host = replying()
    host.addresses = ()
    with pytest.raises(NotConnectedError, match="cannot be resolved"):
        await call(host)
    assert host.requests == []


async def test_a_source_may_be_held_to_networks_of_its_own() -> None:
    narrow = replace(SOURCE, networks=(ip_network("10.0.1.0/24"),))
    with pytest.raises(NotConnectedError):
        await call(replying(), narrow)
    assert await call(Host(lambda _: httpx.Response(200, stream=httpx.ByteStream(b"[]")), "10.0.1.7"), narrow) == b"[]"


async def test_a_request_names_its_host_in_its_header_and_in_tls_and_asks_for_nothing_packed() -> None:
    host = replying()
    await call(host, query=[("a", "1"), ("a", "2")], headers={"authorization": "Bearer t"})
    [sent] = host.requests
    assert str(sent.url) == "https://10.0.0.9/rows?a=1&a=2"
    assert sent.extensions["sni_hostname"] == "orders.internal"
    names = ("host", "authorization", "accept", "accept-encoding")
    assert [sent.headers[name] for name in names] == [
        "orders.internal",
        "Bearer t",
        "application/json",
        "identity",
    ]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    host = replying(status, location="https://evil.example/")
    with pytest.raises(SourceError, match=f"status {status}"):
        await call(host)
    assert len(host.requests) == 1


async def test_the_body_of_an_error_is_read_only_where_it_is_wanted() -> None:
    host = replying(404, b"gone")
    for reads_errors, body in ((False, b""), (True, b"gone")):
        found = await host.client.exchange(SOURCE, "GET", "/rows", deadline_s=1.0, reads_errors=reads_errors)
        assert (found.status, found.is_success, found.body) == (404, False, body)


async def test_an_answer_may_have_the_most_bytes_and_no_more() -> None:
    assert await call(replying(content=b"12345"), most=5) == b"12345"
    with pytest.raises(SourceError, match="its answer has more than 5 bytes"):
        await call(replying(content=b"123456"), most=5)


@pytest.mark.parametrize(
    ("error", "is_sent"),
    [
        (httpx.ConnectError("SECRET"), False),
        (httpx.ConnectTimeout("SECRET"), False),
        (httpx.ReadTimeout("SECRET"), True),
        (httpx.RemoteProtocolError("SECRET"), True),
        (ConnectionResetError("SECRET"), True),
    ],
)
async def test_a_failure_says_whether_a_request_may_have_arrived(error: Exception, *, is_sent: bool) -> None:
    with pytest.raises(SourceError) as raised:
        await call(raising(error))
    assert isinstance(raised.value, NotConnectedError) is not is_sent
    assert "SECRET" not in str(raised.value)


async def test_no_token_is_asked_for_where_a_source_has_no_scope() -> None:
    assert await authorization_headers(NoTokens(), "") == {}
    with pytest.raises(SourceError, match="no access token"):
        await authorization_headers(NoTokens(), "api://orders/.default")
