"""Does a managed identity become an AWS role without a key, and does AWS's own SDK agree with every signature?"""

import asyncio
from copy import replace
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from openai import BedrockOpenAI

from clients.backends.credentials import HttpCall
from clients.backends.port import BackendError
from clients.identity.aws import RoleCredentials, short_term_key, signed_headers
from clients.identity.backend_credentials import BackendCredentials
from clients.identity.entra import ManagedIdentity
from domain.fleet.catalog import Auth, AuthKind, Backend
from domain.fleet.failure_classes import FailureKind
from standins.clock import now
from standins.issuer.aws_keys import issued_credentials
from standins.issuer.federation import AWS_ROLE, RESOURCE
from tests.clients.backends.model_server import all_pieces, backend_at, call
from tests.clients.identity.aws_side import AwsService, aws_service, json_bytes
from tests.clients.identity.cloud import Cloud
from tests.fakes.backends import http_backend
from tests.fakes.clocks import FakeClock

pytestmark = pytest.mark.slow

REGION = "us-east-1"
BEDROCK = Auth(kind=AuthKind.AWS_KEY, service="bedrock", region=REGION)
SAGEMAKER = replace(BEDROCK, service="sagemaker")
LAMBDA = Auth(kind=AuthKind.AWS_SIGV4, service="lambda", region=REGION)
NO_RETRIES: Any = Config(retries={"total_max_attempts": 1})


def backend(auth: Auth, url: str = "https://aws.example") -> Backend:
    return replace(backend_at(f"{url}/v1"), auth=auth, streams=False)


async def header(credentials: BackendCredentials, auth: Auth) -> str:
    found = await credentials.header(backend(auth), HttpCall(method="POST", url="https://aws.example/v1/x", body=b"{}"))
    return found["authorization"]


async def ask(service: AwsService, credentials: BackendCredentials, auth: Auth) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        client = http_backend(backend(auth, service.url), http, silence_s=5, credentials=credentials)
        await all_pieces(client, call())


def fresh_keys(life_s: int = 900) -> RoleCredentials:
    found = issued_credentials(int(now()) + life_s)
    return RoleCredentials(
        access_key=found.access_key,
        secret_key=found.secret_key,
        token=found.session_token,
        expires_at=now() + life_s,
    )


def boto_client(name: str, url: str, found: RoleCredentials | None = None) -> Any:
    secrets = (
        {}
        if found is None
        else {
            "aws_access_key_id": found.access_key,
            "aws_secret_access_key": found.secret_key,
            "aws_session_token": found.token,
        }
    )
    client: Any = boto3.client  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - it has no types
    return client(name, region_name=REGION, endpoint_url=url, config=NO_RETRIES, **secrets)


async def test_aws_s_own_sdk_assumes_the_role_at_the_stand_in(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    token = await asyncio.to_thread(ManagedIdentity().token, f"{RESOURCE}/.default")
    request = {"RoleArn": AWS_ROLE, "RoleSessionName": "judge", "WebIdentityToken": token.token}
    sts = boto_client("sts", cloud.url)
    answer = await asyncio.to_thread(sts.assume_role_with_web_identity, **request)
    assert answer["Credentials"]["AccessKeyId"].startswith("ASIA")
    assert answer["Credentials"]["Expiration"].timestamp() > now()
    await cloud.set(members=[])
    with pytest.raises(ClientError, match="AccessDenied"):
        await asyncio.to_thread(sts.assume_role_with_web_identity, **request)


async def test_the_stand_in_accepts_what_aws_s_own_sdk_signs_and_nothing_else() -> None:
    async with aws_service("lambda") as service:
        found = fresh_keys()
        good, wrong = boto_client("lambda", service.url, found), replace(found, secret_key="another")
        name = f"arn:aws:lambda:{REGION}:123456789012:function:model"
        await asyncio.to_thread(good.invoke, FunctionName=name, Payload=b"{}", Qualifier="live")
        with pytest.raises(ClientError, match="InvalidSignatureException"):
            await asyncio.to_thread(boto_client("lambda", service.url, wrong).invoke, FunctionName=name)
        service.ahead_s = 2000
        with pytest.raises(ClientError, match="ExpiredTokenException"):
            await asyncio.to_thread(good.invoke, FunctionName=name)
    assert len(service.accepted) == 1
    assert "%3A" in service.accepted[0] or ":" in service.accepted[0]


async def test_the_openai_sdk_s_bedrock_client_takes_the_key_that_the_product_makes() -> None:
    async with aws_service("bedrock") as service:
        key = short_term_key(fresh_keys(), service="bedrock", region=REGION)
        client = BedrockOpenAI(base_url=f"{service.url}/openai/v1", api_key=key, max_retries=0)
        answer = await asyncio.to_thread(
            client.chat.completions.create, model="m", messages=[{"role": "user", "content": "Hi"}]
        )
    assert answer.choices[0].message.content == "Hello."


@pytest.mark.parametrize("auth", [BEDROCK, SAGEMAKER, LAMBDA])
async def test_a_managed_identity_calls_a_service_of_aws_without_a_key(cloud: Cloud, auth: Auth) -> None:
    credentials = cloud.credentials()
    async with aws_service(auth.service or "") as service:
        for _ in range(3):
            await ask(service, credentials, auth)
    assert len(service.accepted) == 3
    assert await cloud.counts() == {"managed-identity": 1, "aws-sts": 1}


async def test_a_hundred_concurrent_calls_fetch_one_token_and_derive_one_key(cloud: Cloud) -> None:
    credentials = cloud.credentials()
    found = await asyncio.gather(*(header(credentials, BEDROCK) for _ in range(100)))
    assert len(set(found)) == 1
    assert await header(credentials, SAGEMAKER) != found[0]
    assert await header(credentials, LAMBDA)
    assert await cloud.counts() == {"managed-identity": 1, "aws-sts": 1}


async def test_each_region_has_its_own_credentials(cloud: Cloud) -> None:
    credentials = cloud.credentials()
    await header(credentials, BEDROCK)
    await header(credentials, replace(BEDROCK, region="eu-west-1"))
    assert (await cloud.counts())["aws-sts"] == 2


async def test_a_key_of_one_service_or_region_is_no_key_of_another() -> None:
    key = short_term_key(fresh_keys(), service="bedrock", region="eu-west-1")
    http = httpx.AsyncClient(headers={"authorization": f"Bearer {key}"})
    async with aws_service("bedrock") as bedrock, aws_service("sagemaker") as sagemaker, http:
        answers = [await http.post(f"{url}/x") for url in (bedrock.url, sagemaker.url)]
    assert [answer.status_code for answer in answers] == [403, 403]


async def test_keys_of_the_environment_are_never_read(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-environment")
    assert "AKIAENVIRONMENT" not in await header(cloud.credentials(), LAMBDA)


async def test_credentials_that_the_service_calls_expired_are_replaced(cloud: Cloud) -> None:
    clock = FakeClock(start=now())
    credentials = cloud.credentials(clock)
    async with aws_service("lambda") as service:
        await ask(service, credentials, LAMBDA)
        service.ahead_s = 7200
        clock.advance(60)
        with pytest.raises(BackendError):
            await ask(service, credentials, LAMBDA)
        service.ahead_s = 0
        await ask(service, credentials, LAMBDA)
    assert (await cloud.counts())["aws-sts"] == 2


async def test_held_credentials_serve_while_sts_is_down(cloud: Cloud) -> None:
    clock = FakeClock(start=now())
    credentials = cloud.credentials(clock)
    first = await header(credentials, BEDROCK)
    await cloud.set(faults={"aws-sts": "503"})
    clock.advance(3300)
    assert await header(credentials, BEDROCK) == first
    clock.advance(300)
    with pytest.raises(BackendError) as caught:
        await header(credentials, BEDROCK)
    assert "AWS STS is not available (status 503)" in caught.value.failure.body


NO, LATER = FailureKind.CREDENTIALS_REFUSED, FailureKind.CREDENTIALS_UNREACHABLE
FAILURES: dict[str, tuple[dict[str, Any], FailureKind, str]] = {
    "no identity": ({"managed_identity": False}, NO, "the managed identity endpoint refused a token"),
    "no OIDC provider": ({"provider": False}, NO, "AWS STS refused to let the app assume the role (status 400); let"),
    "not in the trust policy": ({"members": []}, NO, "AWS STS refused to let the app assume the role (status 403)"),
    "Entra token expired": ({"entra_lifetime": -1}, NO, "AWS STS refused"),
    "busy": ({"faults": {"aws-sts": "429"}}, LATER, "AWS STS is not available (status 429)"),
    "fails": ({"faults": {"aws-sts": "500"}}, LATER, "AWS STS is not available (status 500)"),
    "babbles": ({"faults": {"aws-sts": "garbage"}}, LATER, "AWS STS is not available (unusable answer)"),
}


@pytest.mark.parametrize(("conditions", "kind", "said"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_names_the_hop_and_what_to_grant(
    cloud: Cloud, conditions: dict[str, Any], kind: FailureKind, said: str
) -> None:
    await cloud.set(**conditions)
    with pytest.raises(BackendError) as caught:
        await header(cloud.credentials(), BEDROCK)
    assert caught.value.failure.kind is kind
    assert said in caught.value.failure.body
    assert "123456789012" not in caught.value.failure.body


async def test_a_role_that_does_not_trust_the_app_is_reported(cloud: Cloud) -> None:
    other = replace(BEDROCK, role="arn:aws:iam::123456789012:role/another")
    with pytest.raises(BackendError) as caught:
        await header(cloud.credentials(), other)
    assert "AWS STS refused" in caught.value.failure.body


SEGMENTS = ("model", "arn:aws:bedrock:us-east-1:1:x/y", "a b", "ü", "%", "v1", "~", "a+b", "us.m-1:0")


@pytest.mark.parametrize(
    ("seed", "requests"), [(12, 300), pytest.param(13, 10_000, marks=[pytest.mark.campaign, pytest.mark.long])]
)
async def test_random_requests_are_accepted_as_httpx_sends_them(seed: int, requests: int) -> None:
    """Paths with model ARNs, odd queries and any body."""
    random = Random(seed)  # noqa: S311 - the requests of a test must repeat
    async with aws_service("lambda") as service, httpx.AsyncClient(trust_env=False) as http:
        for _ in range(requests):
            path = "/".join(quote(random.choice(SEGMENTS), safe="") for _ in range(random.randint(1, 4)))
            query = {random.choice(("a", "B", "x y", "é")): random.choice(("", "1", "a/b", "=&")) for _ in range(2)}
            body = random.randbytes(random.randint(0, 200)) if random.random() < 0.7 else json_bytes({"m": "é"})
            address = f"{service.url}/{path}?{urlencode(query, quote_via=quote)}"
            request = http.build_request("POST", address, content=body)
            sent = HttpCall(method="POST", url=str(request.url), body=request.content)
            request.headers.update(signed_headers(fresh_keys(), sent, service="lambda", region=REGION))
            answer = await http.send(request)
            assert answer.status_code == 200, (str(request.url), service.errors)
