"""Which signing keys does an issuer publish, by OpenID Connect Discovery?

Microsoft Entra serves one document for each tenant and token version. It names the issuer and the address of the JSON
Web Key Set. Both must match the expected authority, so that no answer can redirect the app to foreign keys.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from clients.identity.signing_keys import KeySet, usable_keys
from clients.plain_answers import PLAIN, read_plain
from domain.errors import Unavailable
from domain.identity.access_tokens import TokenIssuer

AUTHORITY = "https://login.microsoftonline.com"
DOCUMENTS = {
    "1.0": "{authority}/{tenant}/.well-known/openid-configuration",
    "2.0": "{authority}/{tenant}/v2.0/.well-known/openid-configuration",
}
TIMEOUT_S = 8.0
"""For both requests together."""

SIZE_LIMIT = 524_288
RETRY_S = 5.0


class IssuerDiscovery:
    """Fetches the keys of issuers under one authority, an origin without a path. It keeps no connection.

    `transport` answers in the place of the network.
    """

    def __init__(self, authority: str = AUTHORITY, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.authority = authority
        self.transport = transport

    async def keys(self, origin: TokenIssuer) -> KeySet:
        """Return the issuer's signing keys. Raises Unavailable if it does not answer or the answer is not usable."""
        try:
            async with asyncio.timeout(TIMEOUT_S), self.client() as http:
                address = await self.key_address(http, origin)
                keys = usable_keys(await document(http, address), origin)
        except TimeoutError:
            raise unavailable("did not answer in time") from None
        if not keys:
            raise unavailable("published no usable key")
        return keys

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(trust_env=False, transport=self.transport)

    async def key_address(self, http: httpx.AsyncClient, origin: TokenIssuer) -> str:
        address = DOCUMENTS[origin.version].format(authority=self.authority, tenant=origin.tenant)
        published = await document(http, address)
        keys = published.get("jwks_uri")
        if published.get("issuer") != origin.issuer or not self.is_ours(keys):
            raise unavailable("published another issuer or a key address outside the authority")
        return cast("str", keys)

    def is_ours(self, address: object) -> bool:
        try:
            parts = urlsplit(address) if isinstance(address, str) else None
        except ValueError:
            return False
        return parts is not None and f"{parts.scheme}://{parts.netloc}" == self.authority


async def document(http: httpx.AsyncClient, address: str) -> Mapping[str, Any]:
    try:
        read = json.loads(await body(http, address))
    except (httpx.HTTPError, ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise unavailable("returned an unusable answer")
    return cast("dict[str, Any]", read)


async def body(http: httpx.AsyncClient, address: str) -> bytes:
    """Return the whole body of an answer. Redirects are not followed."""
    async with http.stream("GET", address, headers=PLAIN) as response:
        if not response.is_success:
            raise unavailable("returned an unusable answer")
        return await read_plain(response, most=SIZE_LIMIT)


def unavailable(what: str) -> Unavailable:
    return Unavailable(f"The issuer of access tokens {what}.", delay_s=RETRY_S)
