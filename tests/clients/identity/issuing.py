"""Which issuer do tests ask for its keys? One on this machine that publishes, rotates, breaks and counts."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from domain.identity.access_tokens import TokenIssuer
from tests.fakes.servers.web_servers import handled_by, served

KEY = generate_private_key(65_537, 2048)
ANOTHER = generate_private_key(65_537, 2048)
WEAK = generate_private_key(65_537, 1024)  # noqa: S505 - weak on purpose


def public(key: RSAPrivateKey, kid: Any = "one", **changes: Any) -> dict[str, Any]:
    """Return a key as Entra publishes it, without an algorithm."""
    shown = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"kty": "RSA", "use": "sig", "kid": kid, "n": shown["n"], "e": shown["e"], **changes}


@dataclass(slots=True)
class FakeIssuer:
    """Publishes `keys`; `broken` is what becomes of every request: a status, "hang", or another document."""

    keys: list[dict[str, Any]] = field(default_factory=lambda: [public(KEY)])
    discovery: dict[str, Any] = field(default_factory=dict[str, Any])
    broken: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    asked: Counter[str] = field(default_factory=Counter[str])
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        kind = "discovery" if request.path.endswith("openid-configuration") else "keys"
        self.asked[kind] += 1
        await asyncio.sleep(0)
        if self.broken == "hang":
            await asyncio.Event().wait()
        if isinstance(self.broken, int):
            return web.Response(status=self.broken, headers={"location": f"{self.url}/elsewhere"})
        if isinstance(self.broken, bytes):
            return web.Response(body=self.broken, headers=self.headers)
        return web.json_response({"keys": self.keys} if kind == "keys" else self.document(request))

    def document(self, request: web.Request) -> dict[str, Any]:
        version = "2.0" if "/v2.0/" in request.path else "1.0"
        tenant = request.path.split("/")[1]
        own = {
            "issuer": TokenIssuer(tenant=tenant, version=version).issuer,
            "jwks_uri": f"{self.url}/{tenant}/discovery/{version}/keys",
        }
        return own | self.discovery


@asynccontextmanager
async def issuing(issuer: FakeIssuer) -> AsyncGenerator[FakeIssuer]:
    async with served(handled_by(issuer.answer), grace_s=0.1) as issuer.url:
        yield issuer
