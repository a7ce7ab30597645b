"""Is every invalid token rejected with the reason in the log, and is nothing stored?"""

import base64
import hmac
import json
import logging
import string
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from clients.identity.authenticator import TokenAuthenticator
from clients.identity.discovery import IssuerDiscovery
from clients.identity.jwks_cache import UNKNOWN_S, JwksCache
from tests.api.harness import Api, api
from tests.clients.identity.issuing import ANOTHER, KEY, WEAK, FakeIssuer, issuing, public
from tests.domain.identity.test_access_tokens import APPLICATION, CLIENT, EXPECTED, NOW, OLD_USER, OTHER, TENANT, USER
from tests.domain.identity.test_platform_principal import entries, principal
from tests.fakes.clocks import FakeClock

BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
BODY = {"input": "hi", "background": True}


class Gate:
    """An API that authenticates the tokens of an issuer."""

    def __init__(self, issuer: FakeIssuer, *, behind_platform: bool = False) -> None:
        self.issuer = issuer
        self.clock = FakeClock()
        self.authenticator = TokenAuthenticator(
            keys=JwksCache(IssuerDiscovery(issuer.url).keys, self.clock),
            expected=EXPECTED,
            clock=self.clock,
            behind_platform=behind_platform,
        )
        self.api: Api = api(clock=self.clock, authenticator=self.authenticator)
        self.api.orchestrations.hold = True

    async def post(self, headers: Mapping[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(self.api.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://ganglion") as http:
            return await http.post("/v1/responses", json=BODY, headers=dict(headers))


@asynccontextmanager
async def gate(*, behind_platform: bool = False) -> AsyncGenerator[Gate]:
    keys = [public(KEY), public(WEAK, kid="weak")]
    async with issuing(FakeIssuer(keys=keys)) as issuer:
        yield Gate(issuer, behind_platform=behind_platform)


def signed(claims: Mapping[str, Any] = USER, key: Any = KEY, **headers: Any) -> str:
    named = {name: value for name, value in {"kid": "one", **headers}.items() if value is not None}
    return jwt.encode(dict(claims), key, algorithm="RS256", headers=named)


def altered(**claims: Any) -> str:
    return signed({name: value for name, value in {**USER, **claims}.items() if value is not None})


def unsigned() -> str:
    return jwt.encode(dict(USER), "", algorithm="none", headers={"kid": "one"})


def with_the_public_key_as_secret() -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    secret = KEY.public_key().public_bytes(serialization.Encoding.PEM, form)
    parts = jwt.encode(dict(USER), "x" * 64, algorithm="HS256", headers={"kid": "one"}).rpartition(".")[0]
    return f"{parts}.{encoded(hmac.digest(secret, parts.encode(), 'sha256'))}"


def by_a_weak_key() -> str:
    """Sign by hand, because libraries reject weak keys."""
    header = encoded(json.dumps({"alg": "RS256", "kid": "weak"}).encode())
    parts = f"{header}.{encoded(json.dumps(dict(USER)).encode())}"
    return f"{parts}.{encoded(WEAK.sign(parts.encode(), PKCS1v15(), SHA256()))}"


def with_other_bits_at_the_end() -> str:
    """Encode the same signature differently: the last two bits of base64url are padding."""
    token = signed()
    return token[:-1] + BASE64URL[BASE64URL.index(token[-1]) + 1]


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def without(name: str, claims: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


WRONG: dict[str, tuple[str, int, str]] = {
    "no token": ("", 401, "Missing access token"),
    "no JSON Web Token": ("abc", 401, "not a JSON Web Token"),
    "algorithm none": (unsigned(), 401, "not a JSON Web Token"),
    "HS256 with the public key": (with_the_public_key_as_secret(), 401, "not signed with RS256"),
    "another key": (signed(key=ANOTHER), 401, "not signed by a known key"),
    "its own key": (signed(key=ANOTHER, jwk=public(ANOTHER)), 401, "not signed by a known key"),
    "keys at an address": (signed(key=ANOTHER, jku="https://evil.example/keys"), 401, "not signed by a known key"),
    "a certificate at an address": (
        signed(key=ANOTHER, x5u="https://evil.example/cert"),
        401,
        "not signed by a known key",
    ),
    "another audience": (altered(aud=OTHER), 401, "another application"),
    "another issuer": (altered(iss="https://evil.example/v2.0"), 401, "issuer"),
    "another tenant": (altered(tid=OTHER, iss=USER["iss"].replace(TENANT, OTHER)), 401, "tenant"),
    "another version": (altered(ver="3.0"), 401, "version"),
    "version 1 claimed to be 2": (signed({**OLD_USER, "ver": "2.0"}), 401, "issuer"),
    "expired": (altered(exp=NOW - 61), 401, "expired"),
    "not yet valid": (altered(nbf=NOW + 61), 401, "not valid yet"),
    "no key named": (signed(kid=None), 401, "has no key id (kid)"),
    "an unknown key": (signed(kid="two"), 401, "not signed by a known key"),
    "a key of 1,024 bits": (by_a_weak_key(), 401, "not signed by a known key"),
    "padded": (signed() + "=", 401, "not a JSON Web Token"),
    "padded within": (signed().replace(".", "=.", 1), 401, "Missing access token"),
    "other bits at the end": (with_other_bits_at_the_end(), 401, "base64url"),
    "an application without roles": (signed(without("roles", APPLICATION)), 403, "role"),
    "a user without scope": (altered(scp=None), 403, "scope"),
    "an application with a user's scope": (signed({**APPLICATION, "scp": "access_as_user"}), 401, "neither"),
}


@pytest.mark.parametrize(("token", "status", "reason"), WRONG.values(), ids=WRONG)
async def test_an_invalid_token_is_rejected_with_its_reason_and_nothing_is_stored(
    token: str, status: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with gate() as one:
        with caplog.at_level(logging.WARNING, "ganglion.api"):
            answer = await one.post({"authorization": f"Bearer {token}"})
        assert answer.status_code == status
        assert await one.api.stored() == set()
        assert one.api.orchestrations.started == []
    assert any(reason in record.getMessage() for record in caplog.records)
    assert not token or token not in caplog.text


RIGHT = {"a user": USER, "a user, version 1": OLD_USER, "an application": APPLICATION}


@pytest.mark.parametrize("claims", RIGHT.values(), ids=RIGHT)
async def test_a_valid_token_is_accepted(claims: Mapping[str, Any]) -> None:
    async with gate() as one:
        assert (await one.post({"authorization": f"Bearer {signed(claims)}"})).status_code == 200


SPOOFED = {
    "x-ms-client-principal": principal(entries(USER)),
    "x-ms-client-principal-id": USER["oid"],
    "x-ms-client-principal-name": "admin@contoso.example",
    "x-ms-client-principal-idp": "aad",
    "x-ms-token-aad-access-token": "x",
}


async def test_spoofed_platform_headers_are_rejected() -> None:
    async with gate() as one:
        assert (await one.post(SPOOFED)).status_code == 401
        assert await one.api.stored() == set()
        assert not one.issuer.asked


async def test_valid_platform_headers_are_accepted_behind_the_platform() -> None:
    async with gate(behind_platform=True) as one:
        assert (await one.post(SPOOFED)).status_code == 200
        forged = principal(entries({**USER, "aud": CLIENT}))
        assert (await one.post({**SPOOFED, "x-ms-client-principal": forged})).status_code == 401
        unscoped = principal(entries(without("scp", USER)))
        assert (await one.post({**SPOOFED, "x-ms-client-principal": unscoped})).status_code == 403


async def test_an_unavailable_issuer_is_503_with_retry_after() -> None:
    async with gate() as one:
        one.issuer.broken = 500
        answer = await one.post({"authorization": f"Bearer {signed()}"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert json.loads(answer.text)["error"]["code"] == "unavailable"
        assert await one.api.stored() == set()


@pytest.mark.slow
async def test_unknown_keys_query_the_issuer_once_in_five_minutes() -> None:
    async with gate() as one:
        assert (await one.post({"authorization": f"Bearer {signed()}"})).status_code == 200
        one.issuer.asked.clear()
        for number in range(200):
            assert (await one.post({"authorization": f"Bearer {signed(kid=f'k{number}')}"})).status_code == 401
        assert one.issuer.asked == {"discovery": 1, "keys": 1}
        one.clock.advance(UNKNOWN_S)
        await one.post({"authorization": f"Bearer {signed(kid='one more')}"})
        assert one.issuer.asked["keys"] == 2
