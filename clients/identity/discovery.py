"""What does an issuer publish of itself, and is it what we pin?

OpenID Connect Discovery as Microsoft Entra serves it: a document for each tenant and version, which names the issuer
and where its JSON Web Key Set is. Both must be those that we expect, so that no answer can move us to another's keys.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from clients.identity.signing_keys import KeySet, usable_keys
from domain.errors import Unavailable
from domain.identity.access_tokens import TokenIssuer

AUTHORITY = "https://login.microsoftonline.com"
DOCUMENTS = {
    "1.0": "{authority}/{tenant}/.well-known/openid-configuration",
    "2.0": "{authority}/{tenant}/v2.0/.well-known/openid-configuration",
}
TIMEOUT_S = 8.0
"""For both documents together."""

SIZE_LIMIT = 524_288
RETRY_S = 5.0


class IssuerDiscovery:
    """Asks the issuers under one authority, an origin without a path. It is asked seldom: nothing stays open."""

    def __init__(self, authority: str = AUTHORITY) -> None:
        self.authority = authority

    async def keys(self, origin: TokenIssuer) -> KeySet:
        """Return the keys that the issuer signs with; raises Unavailable where it doesn't say, or says odd things."""
        try:
            async with asyncio.timeout(TIMEOUT_S), httpx.AsyncClient(trust_env=False) as http:
                address = await self.key_address(http, origin)
                keys = usable_keys(await document(http, address), origin)
        except TimeoutError:
            raise unavailable("does not answer in time") from None
        if not keys:
            raise unavailable("publishes no usable key")
        return keys

    async def key_address(self, http: httpx.AsyncClient, origin: TokenIssuer) -> str:
        address = DOCUMENTS[origin.version].format(authority=self.authority, tenant=origin.tenant)
        published = await document(http, address)
        keys = published.get("jwks_uri")
        if published.get("issuer") != origin.issuer or not self.is_ours(keys):
            raise unavailable("names another issuer, or keys at another place")
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
        raise unavailable("does not answer as it should")
    return cast("dict[str, Any]", read)


async def body(http: httpx.AsyncClient, address: str) -> bytes:
    """Return a whole answer. Redirects are not followed: no answer moves us elsewhere."""
    async with http.stream("GET", address) as response:
        if not response.is_success:
            raise unavailable("does not answer as it should")
        read = bytearray()
        async for chunk in response.aiter_bytes():
            read += chunk
            if len(read) > SIZE_LIMIT:
                raise unavailable("answers at too great a length")
        return bytes(read)


def unavailable(what: str) -> Unavailable:
    return Unavailable(f"The issuer of access tokens {what}.", delay_s=RETRY_S)
