"""Who are the callers of a run? An issuer in the same process signs their tokens, rotates its keys and may fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from clients.clock import Clock
from clients.identity.authenticator import TokenAuthenticator
from clients.identity.discovery import IssuerDiscovery
from clients.identity.jwks_cache import JwksCache
from domain.identity.access_tokens import SCOPE, AcceptedTokens, TokenIssuer
from domain.identity.owners import Owner
from tests.fakes.clocks import START

AUDIENCE = "44444444-4444-4444-4444-444444444444"
AUTHORITY = "https://issuer.example"
KEY_IDS = ("one", "two")
DAY_S = 86_400


@cache
def signing_key(key_id: str) -> RSAPrivateKey:
    """Return a key of this process; no run depends on its bits."""
    assert key_id
    return generate_private_key(65_537, 2048)


@cache
def token_of(owner: Owner, key_id: str, signer: str = "") -> str:
    """Return a token of a day; a `signer` other than `key_id` makes it a forgery."""
    claims = {
        "ver": "2.0",
        "iss": TokenIssuer(tenant=owner.tenant, version="2.0").issuer,
        "aud": AUDIENCE,
        "tid": owner.tenant,
        "oid": owner.subject.removeprefix("user:"),
        "azp": AUDIENCE,
        "scp": SCOPE,
        "nbf": int(START) - DAY_S,
        "exp": int(START) + DAY_S,
    }
    return jwt.encode(claims, signing_key(signer or key_id), algorithm="RS256", headers={"kid": key_id})


@cache
def published(key_id: str) -> Mapping[str, Any]:
    key = RSAAlgorithm.to_jwk(signing_key(key_id).public_key(), as_dict=True)
    return {"kty": "RSA", "use": "sig", "kid": key_id, "n": key["n"], "e": key["e"]}


def answer_of(document: Mapping[str, Any]) -> httpx.Response:
    async def parts() -> AsyncIterator[bytes]:
        yield json.dumps(document).encode()

    return httpx.Response(200, content=parts())


@dataclass(slots=True)
class Issuer:
    """Publishes its keys over HTTP, slowly; an answer is an error or a lost connection with probability `rate`."""

    random: Random
    rate: float
    published_keys: int = 1
    failed: int = field(default=0)

    @property
    def key_id(self) -> str:
        return KEY_IDS[self.published_keys - 1]

    def rotate(self) -> None:
        """Sign with a new key from now on; the old one stays published."""
        self.published_keys = len(KEY_IDS)

    def token(self, owner: Owner) -> str:
        return token_of(owner, self.key_id)

    def forged_token(self, owner: Owner) -> str:
        return token_of(owner, self.key_id, signer="mallory")

    async def answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(self.random.choice([0, 0.02, 0.5]))
        if self.random.random() < self.rate:
            self.failed += 1
            if self.random.random() < 1 / 2:
                raise httpx.ConnectError("the issuer is gone", request=request)
            return httpx.Response(503)
        if request.url.path.endswith("/openid-configuration"):
            tenant = request.url.path.split("/")[1]
            issuer = TokenIssuer(tenant=tenant, version="2.0").issuer
            return answer_of({"issuer": issuer, "jwks_uri": f"{AUTHORITY}/{tenant}/keys"})
        return answer_of({"keys": [published(each) for each in KEY_IDS[: self.published_keys]]})

    def authenticator(self, clock: Clock, tenant: str) -> TokenAuthenticator:
        """Return the real check of tokens, as a process has it that has fetched no keys yet."""
        discovery = IssuerDiscovery(AUTHORITY, transport=httpx.MockTransport(self.answer))
        expected = AcceptedTokens(audience=AUDIENCE, tenants=frozenset({tenant}))
        return TokenAuthenticator(keys=JwksCache(discovery.keys, clock), expected=expected, clock=clock)
