"""How does the client connect to the account, and with which identity?

Retries have one owner, the store: the SDK's retries are off. By default the SDK repeats 429 nine times for up to half a
minute, and a write whose connection broke, although it may have been done. Endpoint discovery is off too; the account's
own host name follows its write region.
"""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self, cast

from azure.core.credentials import AccessToken
from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos.aio import CosmosClient
from azure.cosmos.documents import ConnectionPolicy
from msgspec import Struct

from clients.storage.cosmos.containers import CONSISTENCIES
from clients.storage.cosmos.settings import CosmosAccount
from clients.storage.request_units import add_charge
from domain.errors import Terminal

CONNECT_S = 5
READ_S = 10
LOCAL_TOKEN_S = 3600
CHARGE_HEADER = "x-ms-request-charge"


class LocalToken:
    """The token of the settings; it is not renewed."""

    def __init__(self, token: str, expires_on: int) -> None:
        self.token = token
        self.expires_on = expires_on

    async def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(self.token, self.expires_on)

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None: ...


class LocalTransport(AioHttpTransport):
    """Verifies the server with the CA of the settings; the SDK does not verify a loopback address at all."""

    def __init__(self, authority: Path) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType] - azure-core's own annotations are partial
        self.context = ssl.create_default_context(cafile=str(authority))

    async def send(self, request: Any, **config: Any) -> Any:
        verified = {"connection_verify": True, "connection_cert": None, "ssl": self.context}
        return cast("Any", await super().send(request, **(config | verified)))  # pyright: ignore[reportUnknownMemberType] - as above


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
