"""How does the client connect to the account, and with which identity?

Retries have one owner, the store: the SDK's retries are off. By default the SDK repeats 429 nine times for up to half a
minute, and a write whose connection broke, although it may have been done. Endpoint discovery is off too; the account's
own host name follows its write region.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from azure.core.pipeline import PipelineResponse
from azure.cosmos.aio import CosmosClient
from azure.cosmos.documents import ConnectionPolicy
from msgspec import Struct

from clients.local_azure import LocalToken, LocalTransport
from clients.storage.cosmos.containers import CONSISTENCIES
from clients.storage.cosmos.settings import CosmosAccount
from clients.storage.request_units import add_charge
from domain.errors import Terminal

CONNECT_S = 5
READ_S = 10
LOCAL_TOKEN_S = 3600
CHARGE_HEADER = "x-ms-request-charge"


class CosmosConnection(Struct, frozen=True, kw_only=True):
    """A client and its credential; closing the client leaves the credential open, so both are closed here."""

    client: CosmosClient
    credential: Any

    async def close(self) -> None:
        await self.client.close()
        if not isinstance(self.credential, str):
            await self.credential.close()


@asynccontextmanager
async def connected(account: CosmosAccount, *, now: float, strong: bool = True) -> AsyncGenerator[CosmosClient]:
    connection = await connect(account, now=now, strong=strong)
    try:
        yield connection.client
    finally:
        await connection.close()


async def connect(account: CosmosAccount, *, now: float, strong: bool = True) -> CosmosConnection:
    """Connect and sign in; raises AzureError, or Terminal for an account with weak consistency; leaves nothing open.

    `strong` requires that every client can read a write at once.
    """
    credential = credential_of(account, now)
    connection = CosmosConnection(client=client_of(account, credential), credential=credential)
    try:
        await connection.client.__aenter__()
        if strong:
            await check_consistency(connection.client)
    except BaseException:
        await connection.close()
        raise
    return connection


async def check_consistency(client: CosmosClient) -> None:
    account: Any = await client.client_connection.GetDatabaseAccount()
    level = account.ConsistencyPolicy["defaultConsistencyLevel"]
    if level not in CONSISTENCIES:
        raise Terminal(f"the account's default consistency is {level}; set it to {' or '.join(CONSISTENCIES)}")


def client_of(account: CosmosAccount, credential: Any) -> CosmosClient:
    policy = ConnectionPolicy()
    policy.RetryOptions._max_retry_attempt_count = 0  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the public argument takes 0 for its default of 9
    options: dict[str, Any] = {"transport": LocalTransport(account.authority)} if account.authority else {}
    return CosmosClient(
        account.url,
        credential,
        connection_policy=policy,
        connection_timeout=CONNECT_S,
        read_timeout=READ_S,
        enable_endpoint_discovery=False,
        retry_connect=0,
        retry_read=0,
        retry_status=0,
        enable_compact_utf8_item_writes=True,
        no_response_on_write=True,
        raw_response_hook=record_charge,
        **options,
    )


def credential_of(account: CosmosAccount, now: float) -> Any:
    if account.key:
        return account.key
    if account.token:
        return LocalToken(account.token, int(now) + LOCAL_TOKEN_S)
    from azure.identity.aio import ManagedIdentityCredential  # noqa: PLC0415 - it takes half a second to import, and only Azure needs it

    return ManagedIdentityCredential(client_id=account.client_id or None)


def record_charge(response: PipelineResponse[Any, Any]) -> None:
    add_charge(float(response.http_response.headers.get(CHARGE_HEADER) or 0))
