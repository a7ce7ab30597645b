"""Who may invoke the GPU service, and how does Google reject other callers?"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from standins.clock import now
from standins.cloud_run.invoker_check import GoogleKeySet, InvokerCheck
from tests.checks import every
from tests.fakes.servers.web_servers import served
from tests.standins.cloud_run.harness import Gpu, running_gpu

CALLER = "caller@project.iam.gserviceaccount.com"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
async def keys_url() -> Any:
    entry = {**RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k1", "use": "sig", "alg": "RS256"}

    async def certs(_request: web.Request) -> web.Response:
        return web.json_response({"keys": [entry]})

    app = web.Application()
    app.router.add_get("/oauth2/v3/certs", certs)
    async with served(app) as url:
        yield f"{url}/oauth2/v3/certs"


def token(service: Gpu, key: rsa.RSAPrivateKey = KEY, kid: str = "k1", **changes: Any) -> str:
    claims = {
        "iss": "https://accounts.google.com",
        "aud": str(service.client.base_url).rstrip("/"),
        "sub": "1234",
        "email": CALLER,
        "email_verified": True,
        "iat": int(now()),
        "exp": int(now()) + 3600,
        **changes,
    }
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})


def invoker_check(url: str, ahead_s: float = 0) -> InvokerCheck:
    return InvokerCheck(keys=GoogleKeySet(url), clock=now, invokers=frozenset({CALLER}), ahead_s=ahead_s)


async def answer(service: Gpu, bearer: str | None) -> httpx.Response:
    return await (service.ask() if bearer is None else service.ask(authorization=f"Bearer {bearer}"))


async def test_the_token_of_an_invoker_is_accepted(tmp_path: Path, keys_url: str) -> None:
    async with running_gpu(tmp_path, invoker_check=invoker_check(keys_url), start=0) as service:
        assert (await answer(service, token(service))).status_code == 200
        assert (await service.ask(**{"x-serverless-authorization": f"bearer {token(service)}"})).status_code == 200


def unsigned(service: Gpu) -> str:
    return jwt.encode({"aud": str(service.client.base_url)}, "", algorithm="none", headers={"kid": "k1"})


def tampered(service: Gpu) -> str:
    head, _, signature = token(service).split(".")
    claims = {"iss": "https://accounts.google.com", "email": "boss@example.com"}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{body}.{signature}"


WRONG: dict[str, tuple[Callable[[Gpu], str | None], int]] = {
    "no token": (lambda _service: None, 403),
    "no role": (lambda service: token(service, email="other@example.com"), 403),
    "no verified e-mail": (lambda service: token(service, email_verified=False), 403),
    "other audience": (lambda service: token(service, aud="https://other.run.app"), 401),
    "other issuer": (lambda service: token(service, iss="https://login.microsoftonline.com"), 401),
    "expired": (lambda service: token(service, exp=int(now()) - 1), 401),
    "no expiry": (lambda service: jwt.encode({"aud": "x"}, KEY, algorithm="RS256", headers={"kid": "k1"}), 401),
    "other key": (lambda service: token(service, key=OTHER_KEY), 401),
    "unknown key": (lambda service: token(service, kid="k2"), 401),
    "no signature": (unsigned, 401),
    "tampered": (tampered, 401),
    "no JWT": (lambda _service: "ya29.opaque", 401),
}


async def test_every_other_token_is_rejected_and_starts_no_instance(tmp_path: Path, keys_url: str) -> None:
    async with running_gpu(tmp_path, invoker_check=invoker_check(keys_url), start=0) as service:
        for name, (made, status) in WRONG.items():
            refused = await answer(service, made(service))
            assert (name, refused.status_code) == (name, status)
            assert refused.headers["server"] == "Google Frontend"
            assert refused.headers["content-type"].startswith("text/html")
            assert ("www-authenticate" in refused.headers) == (status == 401)
        assert await service.is_cold()
        assert await service.sessions() == []
        reasons = [entry["why"] for entry in (await service.admin("requests"))["requests"]]
    assert every(reasons)
    assert reasons[1] == "other@example.com does not hold roles/run.invoker"


async def test_a_clock_that_is_ahead_rejects_a_token_as_expired(tmp_path: Path, keys_url: str) -> None:
    async with running_gpu(tmp_path, invoker_check=invoker_check(keys_url, ahead_s=120), start=0) as service:
        assert (await answer(service, token(service, exp=int(now()) + 60))).status_code == 401
