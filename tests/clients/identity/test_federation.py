"""Do the real azure-identity and google-auth bring a token through every hop, and does a failure name the right one?"""

import asyncio
from copy import replace
from typing import Any

import jwt
import pytest

from clients.backends.credentials import HttpCall
from clients.backends.port import BackendError
from clients.identity.backend_credentials import BackendCredentials
from domain.fleet.catalog import Auth, AuthKind, Backend
from domain.fleet.failure_classes import FailureKind
from standins.issuer.federation import MEMBER, SERVICE_ACCOUNT
from tests.clients.backends.model_server import backend_at
from tests.clients.identity.cloud import Cloud

pytestmark = pytest.mark.slow

SERVICE = "https://gpu.example"
ID_AUTH = Auth(kind=AuthKind.GOOGLE_ID_TOKEN, audience=SERVICE)
ACCESS_AUTH = Auth(kind=AuthKind.GOOGLE_ACCESS_TOKEN, scope="https://www.googleapis.com/auth/cloud-platform")
ENTRA_AUTH = Auth(kind=AuthKind.ENTRA, scope="https://cognitiveservices.azure.com/.default")


def backend(auth: Auth) -> Backend:
    return replace(backend_at(SERVICE), auth=auth)


async def token(credentials: BackendCredentials, auth: Auth) -> str:
    headers = await credentials.header(backend(auth), HttpCall(method="GET", url=SERVICE))
    assert headers.keys() == {"authorization"}
    return headers["authorization"].removeprefix("Bearer ")


def claims_of(text: str) -> dict[str, Any]:
    return jwt.decode(text, options={"verify_signature": False})


async def test_a_managed_identity_becomes_a_service_account_of_google(cloud: Cloud) -> None:
    claims = claims_of(await token(cloud.credentials(), ID_AUTH))
    assert claims["aud"] == SERVICE
    assert claims["email"] == SERVICE_ACCOUNT
    assert await cloud.counts() == {"managed-identity": 1, "sts": 1, "id-token": 1}


async def test_an_access_token_is_had_for_its_scope(cloud: Cloud) -> None:
    assert claims_of((await token(cloud.credentials(), ACCESS_AUTH)).removeprefix("ya29.d."))["sub"] == SERVICE_ACCOUNT
    assert await cloud.counts() == {"managed-identity": 1, "sts": 1, "access-token": 1}


async def test_a_managed_identity_gets_a_token_of_entra(cloud: Cloud) -> None:
    assert claims_of(await token(cloud.credentials(), ENTRA_AUTH))["aud"] == "https://cognitiveservices.azure.com"
    assert await cloud.counts() == {"managed-identity": 1}


async def test_a_hundred_concurrent_calls_fetch_one_token_and_later_ones_none(cloud: Cloud) -> None:
    credentials = cloud.credentials()
    tokens = await asyncio.gather(*(token(credentials, ID_AUTH) for _ in range(100)))
    assert len(set(tokens)) == 1
    assert {await token(credentials, ID_AUTH) for _ in range(100)} == set(tokens)
    assert await cloud.counts() == {"managed-identity": 1, "sts": 1, "id-token": 1}


async def test_each_audience_has_its_own_token(cloud: Cloud) -> None:
    credentials = cloud.credentials()
    for audience in (SERVICE, "https://other.example"):
        text = await token(credentials, Auth(kind=AuthKind.GOOGLE_ID_TOKEN, audience=audience))
        assert claims_of(text)["aud"] == audience


NO, LATER = FailureKind.CREDENTIALS_REFUSED, FailureKind.CREDENTIALS_UNREACHABLE

FAILURES: dict[str, tuple[Auth, dict[str, Any], FailureKind, str]] = {
    "no identity": (ID_AUTH, {"managed_identity": False}, NO, "managed identity endpoint refused a token (status 400)"),
    "no identity, for Entra": (ENTRA_AUTH, {"managed_identity": False}, NO, "assign a managed identity"),
    "identity endpoint fails": (ENTRA_AUTH, {"faults": {"managed-identity": "500"}}, LATER, "managed identity"),
    "identity endpoint babbles": (ID_AUTH, {"faults": {"managed-identity": "garbage"}}, LATER, "managed identity"),
    "no provider": (ID_AUTH, {"provider": False}, NO, "Google STS refused the Entra token (status 400); configure"),
    "STS is busy": (ID_AUTH, {"faults": {"sts": "429"}}, LATER, "Google STS is not available (status 429)"),
    "STS fails": (ACCESS_AUTH, {"faults": {"sts": "503"}}, LATER, "Google STS is not available (status 503)"),
    "STS babbles": (ID_AUTH, {"faults": {"sts": "garbage"}}, LATER, "Google STS"),
    "Entra token expired": (ID_AUTH, {"entra_lifetime": -1}, NO, "Google STS refused the Entra token"),
    "not granted": (ID_AUTH, {"members": []}, NO, "grant roles/iam.workloadIdentityUser"),
    "not granted, access token": (ACCESS_AUTH, {"members": []}, NO, "Google IAM Credentials refused to impersonate"),
    "IAM fails": (ID_AUTH, {"faults": {"id-token": "500"}}, LATER, "Google IAM Credentials is not available"),
    "IAM fails, access token": (ACCESS_AUTH, {"faults": {"access-token": "500"}}, LATER, "Google IAM Credentials"),
    "IAM babbles": (ID_AUTH, {"faults": {"id-token": "garbage"}}, LATER, "Google IAM Credentials"),
    "IAM babbles, access token": (ACCESS_AUTH, {"faults": {"access-token": "garbage"}}, LATER, "Google IAM"),
}


@pytest.mark.parametrize(("auth", "conditions", "kind", "said"), FAILURES.values(), ids=FAILURES)
async def test_a_failure_names_the_hop_and_what_to_grant(
    cloud: Cloud, auth: Auth, conditions: dict[str, Any], kind: FailureKind, said: str
) -> None:
    await cloud.set(**conditions)
    with pytest.raises(BackendError) as caught:
        await token(cloud.credentials(), auth)
    assert (caught.value.failure.kind, caught.value.failure.text_received) == (kind, False)
    assert said in caught.value.failure.body
    assert "ganglion" not in caught.value.failure.body


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scope": "api://another/.default"}, "Google STS refused"),
        ({"provider": "projects/1/locations/global/workloadIdentityPools/none/providers/none"}, "Google STS refused"),
        ({"service_account": "another@ganglion-demo.iam.gserviceaccount.com"}, "Google IAM Credentials refused"),
        ({"sts_url": "http://127.0.0.1:1"}, "Google STS is not available (no answer)"),
        ({"iam_url": "http://127.0.0.1:1"}, "Google IAM Credentials is not available (no answer)"),
    ],
)
async def test_a_wrong_configuration_is_reported_by_the_hop_that_finds_it(
    cloud: Cloud, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(BackendError) as caught:
        await token(cloud.credentials(None, **changes), ID_AUTH)
    assert said in caught.value.failure.body


async def test_a_missing_identity_endpoint_is_reported(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
    with pytest.raises(BackendError, match="unreachable") as caught:
        await token(cloud.credentials(), ID_AUTH)
    assert "the managed identity endpoint is not available (no answer)" in caught.value.failure.body


async def test_a_rejected_credential_is_fetched_again_after_the_grant(cloud: Cloud) -> None:
    await cloud.set(members=[])
    with pytest.raises(BackendError):
        await token(cloud.credentials(), ID_AUTH)
    granted = (await cloud.http.get("/admin/conditions")).json()
    assert granted["members"] == []
    await cloud.set(members=[MEMBER])
    assert await token(cloud.credentials(), ID_AUTH)


@pytest.mark.parametrize("ahead", [-120.0, 120.0])
async def test_clocks_that_differ_by_two_minutes_spoil_nothing(cloud: Cloud, ahead: float) -> None:
    await cloud.set(ahead=ahead)
    assert await token(cloud.credentials(), ID_AUTH)
