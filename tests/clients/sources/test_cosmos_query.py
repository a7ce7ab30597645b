"""Does a query of Cosmos DB give the rows of its partition, by values that stay values?"""

from copy import replace

import httpx
import pytest

from clients.sources.cosmos_query import CosmosQuery
from clients.sources.egress import PinnedClient
from clients.sources.port import Row, SourceError
from clients.storage.cosmos.settings import CosmosAccount
from clients.storage.cosmos.store import CosmosStore
from clients.storage.port import Container, Create, DocumentKey
from domain.identity.owners import Owner
from domain.sources.catalog import CallerClaim, Source, SourceKind, SourceQuery, query_for
from tests.clients.sources.test_hostile import CLAIMS
from tests.fakes.clocks import FakeClock
from tests.fakes.servers.cosmos import local_cosmos

pytestmark = pytest.mark.slow

OWNER = Owner(tenant="t-1", subject="user:o-1")
CASES = Source(
    name="cases",
    kind=SourceKind.COSMOS,
    query="SELECT c.id, c.body.subject, c._etag FROM c WHERE c.body.account = @account",
    partition=(CallerClaim.TID,),
    parameters={"account": CallerClaim.OID},
)


@pytest.fixture
def account() -> CosmosAccount:
    return local_cosmos().new_database()


@pytest.fixture
def cases(account: CosmosAccount) -> Source:
    return replace(CASES, address=account.url, target=(account.database, "money"))


async def filled(account: CosmosAccount, clock: FakeClock) -> None:
    """Write a case for two accounts of one tenant, and one for another tenant."""
    store = CosmosStore(account, clock)
    for number, (tenant, owner) in enumerate([("t-1", "o-1"), ("t-1", "o-2"), ("t-2", "o-1")]):
        key = DocumentKey(container=Container.MONEY, parts=(tenant,))
        body = {"kind": "case", "account": owner, "subject": f"case {number}"}
        await store.commit(key, (Create(id=f"case-{number}", body=body),))
    await store.close()


async def rows(source: Source, account: CosmosAccount, owner: Owner, *, loopback: bool = True) -> list[Row]:
    caller = PinnedClient(httpx.AsyncClient(), loopback=loopback)
    ask = query_for(source, owner, "")
    assert isinstance(ask, SourceQuery)
    return list(await CosmosQuery(caller, lambda _source: account, FakeClock()).rows(source, ask))


async def test_a_query_gives_the_callers_rows_alone(account: CosmosAccount, cases: Source) -> None:
    await filled(account, FakeClock())
    assert [row["subject"] for row in await rows(cases, account, OWNER)] == ["case 0"]
    assert set((await rows(cases, account, OWNER))[0]) == {"id", "subject"}
    for claim in CLAIMS:
        assert await rows(cases, account, Owner(tenant="t-1", subject=f"user:{claim}")) == []
        assert await rows(cases, account, Owner(tenant=claim, subject="user:o-1")) == []


async def test_a_rejection_by_the_account_is_reported_without_its_text(account: CosmosAccount, cases: Source) -> None:
    with pytest.raises(SourceError, match="the query failed"):
        await rows(replace(cases, target=(account.database, "nowhere")), account, OWNER)
    with pytest.raises(SourceError, match="this machine"):
        await rows(cases, account, OWNER, loopback=False)
