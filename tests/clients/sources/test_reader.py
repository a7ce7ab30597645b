"""Does each kind of source return the caller's rows, from an allowed address and in time?"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from copy import replace
from pathlib import Path

import httpx
import pytest
from aiohttp.test_utils import TestServer

from clients.sources.egress import PinnedClient, Resolve
from clients.sources.factory import build_reader
from clients.sources.http_json import HttpJson
from clients.sources.port import SourceError
from clients.sources.reader import SourceReader
from domain.identity.owners import Owner
from domain.sources.catalog import CallerClaim, FetchedRows, Source, SourceKind, SourceQuery, Sources
from standins.issuer.entra_tokens import guid_of
from standins.private_data.server import PrivateData
from tests.fakes.clocks import FakeClock

ALICE = Owner(tenant=guid_of("tenant", "contoso"), subject=f"user:{guid_of('user', 'contoso/alice')}")
CALLER_PARAMETERS = {"tenant": CallerClaim.TID, "account": CallerClaim.OID}


class NoTokens:
    async def token(self, scope: str) -> str:
        raise SourceError(f"no access token for {scope}")


@pytest.fixture
def data() -> PrivateData:
    return PrivateData()


@pytest.fixture
async def address(data: PrivateData) -> AsyncIterator[str]:
    async with TestServer(data.application()) as server:
        yield str(server.make_url("/")).rstrip("/")


@pytest.fixture
def orders(address: str) -> Source:
    return Source(
        name="orders",
        kind=SourceKind.HTTP,
        address=address,
        path="/v1/orders",
        rows=("orders",),
        parameters=CALLER_PARAMETERS,
    )


def reader_of(*sources: Source, loopback: bool = True) -> SourceReader:
    known = {source.name: source for source in sources}
    return build_reader(Sources(known=known), FakeClock(), loopback=loopback, client_id=None)


async def read(*sources: Source, text: str = "", loopback: bool = True) -> tuple[FetchedRows, ...]:
    names = [source.name for source in sources]
    return await reader_of(*sources, loopback=loopback).read(names, ALICE, text)


async def test_an_http_service_returns_the_rows_of_the_caller(orders: Source, data: PrivateData) -> None:
    (fetched,) = await read(orders, text="nothing of this")
    assert [row["id"] for row in fetched.rows] == ["A-1001", "A-1002"]
    (request,) = data.requests
    assert request["path"] == f"/v1/orders?tenant={ALICE.tenant}&account={ALICE.subject.removeprefix('user:')}"


async def test_a_search_returns_documents_with_a_keyword(address: str) -> None:
    source = Source(
        name="documents",
        kind=SourceKind.AI_SEARCH,
        address=address,
        target=("documents",),
        parameters=CALLER_PARAMETERS,
        keywords=3,
        fields=("id",),
    )
    (fetched,) = await read(source, text="How long is the WARRANTY?")
    assert fetched.rows == ({"id": "D-11"},)


async def test_a_file_is_searched_for_the_callers_tenant(tmp_path: Path) -> None:
    path = tmp_path / "handbook.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE VIRTUAL TABLE pages USING fts5(id UNINDEXED, tenant UNINDEXED, text)")
        rows = [("1", ALICE.tenant, "the herons nest"), ("2", "other", "herons"), ("3", ALICE.tenant, "otters")]
        connection.executemany("INSERT INTO pages VALUES (?, ?, ?)", rows)
    connection.close()
    source = Source(
        name="handbook",
        kind=SourceKind.SQLITE_SEARCH,
        path=str(path),
        target=("pages",),
        parameters={"tenant": CallerClaim.TID},
        keywords=4,
        fields=("id", "text"),
    )
    (found,) = await read(source, text='herons" OR tenant:other NOT')
    assert found.rows == ({"id": "1", "text": "the herons nest"},)
    (nothing,) = await read(source, text="??")
    assert nothing.rows == ()
    (broken,) = await read(replace(source, path=str(tmp_path / "no.db")), text="herons")
    assert broken.problem == "the search failed (OperationalError)"


async def test_a_slow_source_does_not_delay_the_others(orders: Source, data: PrivateData) -> None:
    data.faults = {"delay_s": 30}
    async with asyncio.timeout(60):
        slow, gone = await read(
            replace(orders, deadline_s=0.1), replace(orders, name="gone", address="http://127.0.0.1:1")
        )
    assert slow.problem == "it did not answer in time" or "Timeout" in slow.problem
    assert "cannot be reached" in gone.problem


async def test_rows_above_the_limit_are_left_out_and_counted(orders: Source) -> None:
    (fetched,) = await read(replace(orders, max_rows=1))
    assert (len(fetched.rows), fetched.left_out) == (1, 1)


async def test_a_redirect_is_not_followed(orders: Source, data: PrivateData) -> None:
    data.faults = {"redirect": f"{orders.address}/v1/orders?tenant=x&account=y"}
    (fetched,) = await read(orders)
    assert fetched.problem == "it answered with status 302"
    assert len(data.requests) == 1


async def test_a_source_on_this_machine_is_rejected_unless_the_settings_allow_it(
    orders: Source, data: PrivateData
) -> None:
    (fetched,) = await read(orders, loopback=False)
    assert fetched.problem == "its host is not allowed: it is a loopback address of this machine"
    assert data.requests == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "localhost"])
async def test_every_spelling_of_a_loopback_address_is_rejected(orders: Source, data: PrivateData, host: str) -> None:
    port = orders.address.rpartition(":")[2]
    (fetched,) = await read(replace(orders, address=f"http://{host}:{port}"), loopback=False)
    assert fetched.problem in {
        "its host is not allowed: it is a loopback address of this machine",
        "its host name cannot be resolved",
    }
    assert data.requests == []


def resolver_of(*answers: Sequence[str]) -> Resolve:
    """Return a resolver that returns each answer once, and repeats the last one."""
    remaining = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(0)
        return remaining.pop(0) if len(remaining) > 1 else remaining[0]

    return resolve


def pinned_client(resolve: Resolve, *, loopback: bool = True) -> PinnedClient:
    http = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
    return PinnedClient(http, loopback=loopback, resolve=resolve)


async def test_the_call_goes_to_the_checked_address_with_the_host_name(orders: Source, data: PrivateData) -> None:
    port = orders.address.rpartition(":")[2]
    source = replace(orders, address=f"http://orders.internal:{port}")
    rebinding = pinned_client(resolver_of(["127.0.0.1"], ["169.254.169.254"]))
    rows = await HttpJson(rebinding, NoTokens()).rows(source, SourceQuery(parameters={"tenant": "t", "account": "a"}))
    assert rows == []
    assert data.requests[0]["headers"]["Host"] == f"orders.internal:{port}"
    with pytest.raises(SourceError, match="link-local"):
        await HttpJson(rebinding, NoTokens()).rows(source, SourceQuery(parameters={}))


async def test_a_source_without_a_token_for_it_is_not_called(orders: Source, data: PrivateData) -> None:
    connector = HttpJson(pinned_client(resolver_of(["127.0.0.1"])), NoTokens())
    with pytest.raises(SourceError, match="no access token"):
        await connector.rows(replace(orders, scope="api://orders/.default"), SourceQuery(parameters={}))
    assert data.requests == []


async def test_a_removed_source_is_reported_and_does_not_affect_the_others(orders: Source) -> None:
    none, some = await reader_of(orders).read(["gone", "orders"], ALICE, "")
    assert none.problem == "it is no longer configured for this caller"
    assert len(some.rows) == 2


async def test_an_invalid_host_name_is_reported_as_not_resolvable(orders: Source) -> None:
    (fetched,) = await read(replace(orders, address=f"http://{'a' * 64}.example.com"), loopback=False)
    assert fetched.problem == "its host name cannot be resolved"
