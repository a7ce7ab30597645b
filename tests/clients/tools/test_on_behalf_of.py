"""Does the app exchange a caller's token as Microsoft's own library does, and is each refusal told?"""

import json
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
from azure.identity.aio import OnBehalfOfCredential

from clients.clock import SystemClock
from clients.sources.port import SourceError
from clients.sources.tokens import IdentityTokens
from clients.tools.on_behalf_of import ExchangeRefused, OnBehalfOf
from domain.errors import Unavailable
from domain.identity.owners import Owner
from standins.issuer.entra_tokens import AUDIENCE, guid_of, issuer_in
from standins.issuer.on_behalf_of import DOWNSTREAM
from tests.clients.identity.cloud import Cloud

ALICE = Owner(tenant=guid_of("tenant", "contoso"), subject=f"user:{guid_of('user', 'contoso/alice')}")
SCOPE = f"{DOWNSTREAM}/.default"


class Proof:
    """The managed identity, or none at all."""

    def __init__(self, given: str = "proof") -> None:
        self.given = given

    async def token(self, scope: str) -> str:
        if not self.given:
            raise SourceError(f"no access token for it: {scope}")
        return self.given


def answering(status: int, body: Any, seen: list[httpx.Request] | None = None, proof: str = "proof") -> OnBehalfOf:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, stream=httpx.ByteStream(content), headers={"location": "https://evil.example"})

    return OnBehalfOf(
        authority="https://login.microsoftonline.com",
        client_id=AUDIENCE,
        identity=Proof(proof),
        clock=SystemClock(),
        transport=httpx.MockTransport(answer),
    )


class Recorder:
    """Takes the requests of azure-identity in the place of its transport, and grants a token."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    async def send(self, request: Any, **_: Any) -> Any:
        self.requests.append(request)
        raise ConnectionError("recorded")

    async def open(self) -> None:
        return None

    async def close(self) -> None:
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


async def test_the_request_is_that_of_azure_identity() -> None:
    seen: list[httpx.Request] = []
    granted = await answering(200, {"access_token": "t", "expires_in": 3599}, seen).exchange(ALICE, "user-token", SCOPE)
    assert granted.token == "t"
    recorder = Recorder()
    theirs = OnBehalfOfCredential(
        ALICE.tenant,
        AUDIENCE,
        client_assertion_func=lambda: "proof",
        user_assertion="user-token",
        transport=recorder,
        disable_instance_discovery=True,
    )
    with pytest.raises(ConnectionError):
        await theirs.get_token(SCOPE)
    await theirs.close()
    (request,) = recorder.requests
    ours = {name: value for name, (value,) in parse_qs(seen[0].content.decode()).items()}
    wanted = {name: str(value) for name, value in request.body.items()}
    assert str(seen[0].url) == request.url
    assert ours == {name: value for name, value in wanted.items() if name != "client_info"}


REFUSALS: list[tuple[int, Any, type[Exception], str]] = [
    (
        400,
        {"error": "invalid_grant", "error_description": "AADSTS500133: stale for bob"},
        ExchangeRefused,
        "AADSTS500133",
    ),
    (401, {"error": "invalid_client"}, ExchangeRefused, "invalid_client"),
    (400, {"error": "<script>", "error_description": "none"}, ExchangeRefused, "script"),
    (500, {"error": "server_error"}, Unavailable, "no usable answer"),
    (307, {}, Unavailable, "no usable answer"),
    (200, {"access_token": 5, "expires_in": 5}, Unavailable, "no usable answer"),
    (200, b"<html>", Unavailable, "no usable answer"),
    (200, b"x" * 100_000, Unavailable, "did not answer"),
]


@pytest.mark.parametrize(("status", "body", "error", "told"), REFUSALS)
async def test_a_refusal_has_entras_number_and_nothing_else(
    status: int, body: Any, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told) as raised:
        await answering(status, body).exchange(ALICE, "user-token", SCOPE)
    assert "bob" not in str(raised.value)
    assert "user-token" not in str(raised.value)


async def test_an_app_without_an_identity_can_exchange_nothing() -> None:
    with pytest.raises(Unavailable, match="could not authenticate"):
        await answering(200, {}, proof="").exchange(ALICE, "user-token", SCOPE)


def user_token(keys: Path, **claims: Any) -> str:
    return issuer_in(keys).user_token(now=SystemClock().now(), claims=claims)


def exchanger(cloud: Cloud) -> OnBehalfOf:
    clock = SystemClock()
    return OnBehalfOf(authority=cloud.url, client_id=AUDIENCE, identity=IdentityTokens(clock), clock=clock)


@pytest.mark.slow
async def test_the_stand_in_grants_a_token_of_the_user_for_the_other_api(cloud: Cloud, keys: Path) -> None:
    granted = await exchanger(cloud).exchange(ALICE, user_token(keys), SCOPE)
    claims = jwt.decode(granted.token, options={"verify_signature": False})
    assert (claims["aud"], claims["oid"], claims["azp"]) == (DOWNSTREAM, ALICE.subject.removeprefix("user:"), AUDIENCE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claims", "scope", "number"),
    [
        ({"aud": "api://another"}, SCOPE, "AADSTS500131"),
        ({"exp": 1_000_000_000}, SCOPE, "AADSTS500133"),
        ({"tid": "another"}, SCOPE, "AADSTS50013"),
        ({"scp": None}, SCOPE, "AADSTS50013"),
        ({}, "api://another/.default", "AADSTS65001"),
    ],
)
async def test_the_stand_in_refuses_like_entra(
    cloud: Cloud, keys: Path, claims: dict[str, Any], scope: str, number: str
) -> None:
    with pytest.raises(ExchangeRefused, match=number):
        await exchanger(cloud).exchange(ALICE, user_token(keys, **claims), scope)


@pytest.mark.slow
async def test_a_token_that_the_issuer_did_not_sign_is_refused(cloud: Cloud) -> None:
    with pytest.raises(ExchangeRefused, match="AADSTS50013"):
        await exchanger(cloud).exchange(ALICE, "not.a.token", SCOPE)
