"""Does the stand-in for Google exchange tokens and impersonate as the real one?"""

from typing import Any

import httpx
import jwt
import pytest
from google.auth.exceptions import OAuthError, RefreshError

from standins.clock import now
from standins.issuer.entra_tokens import MANAGED_IDENTITY
from standins.issuer.federation import MEMBER, PROVIDER, RESOURCE, SERVICE_ACCOUNT
from standins.issuer.google import EXCHANGE
from tests.standins.issuer.harness import (
    Provider,
    google_access_token,
    google_id_token,
)

SERVICE = "https://service.run.app"


ACCOUNT = f"/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}"


def test_the_real_libraries_obtain_a_google_id_token(provider: Provider) -> None:
    token = google_id_token(provider, SERVICE)
    key = provider.keys(f"{provider.base}/oauth2/v3/certs")[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=SERVICE, issuer="https://accounts.google.com")
    counts = provider.counts()
    assert (claims["email"], claims["email_verified"]) == (SERVICE_ACCOUNT, True)
    assert claims["exp"] - claims["iat"] == 3600
    assert {hop: counts[hop] for hop in ("managed-identity", "sts", "id-token")} == {
        "managed-identity": 1,
        "sts": 1,
        "id-token": 1,
    }


def test_the_real_libraries_obtain_an_access_token_by_impersonation(provider: Provider) -> None:
    token = google_access_token(provider)
    locations = provider.get(f"{ACCOUNT}/allowedLocations", authorization=f"Bearer {token}")
    assert locations.json() == {"locations": ["us-central1"], "encodedLocations": "0x8000"}
    assert provider.counts()["access-token"] == 1


def test_a_pool_without_the_provider_rejects_the_exchange(provider: Provider) -> None:
    provider.set(provider=False)
    with pytest.raises(OAuthError, match="invalid_target"):
        google_id_token(provider, SERVICE)


def service_token(provider: Provider) -> str:
    return google_id_token(provider, SERVICE)


@pytest.mark.parametrize(
    ("get", "permission"),
    [
        (service_token, "iam.serviceAccounts.getOpenIdToken"),
        (google_access_token, "iam.serviceAccounts.getAccessToken"),
    ],
)
def test_impersonation_needs_its_grant(provider: Provider, get: Any, permission: str) -> None:
    provider.set(members=[])
    with pytest.raises(RefreshError, match=permission) as refused:
        get(provider)
    assert "PERMISSION_DENIED" in str(refused.value)
    provider.set(members=[MEMBER])
    assert get(provider)


def exchange(provider: Provider, token: str, **changes: str) -> httpx.Response:
    form = {
        "grant_type": EXCHANGE,
        "audience": PROVIDER,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "subject_token": token,
        **changes,
    }
    return provider.submit("/v1/token", **form)


def entra_token(provider: Provider, **claims: Any) -> str:
    app = {"aud": RESOURCE, "sub": MANAGED_IDENTITY, **claims}
    return provider.issuer.app_token(now=now(), app="ganglion", version="1.0", claims=app)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"aud": "api://other"}, "does not match the expected audience"),
        ({"iss": "https://sts.windows.net/other/"}, "does not match the expected ones"),
        ({"exp": 1}, "is stale to sign-in"),
        ({"nbf": 4_000_000_000}, "not yet valid"),
        ({"sub": None}, "sub"),
    ],
)
def test_sts_checks_the_claims_of_the_token(provider: Provider, claims: dict[str, Any], said: str) -> None:
    answer = exchange(provider, entra_token(provider, **claims))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert said in answer.json()["error_description"]


def test_sts_verifies_the_signature(provider: Provider) -> None:
    head, body, _ = entra_token(provider).split(".")
    _, _, other = entra_token(provider, sub="other").split(".")
    assert exchange(provider, f"{head}.{body}.{other}").json()["error"] == "invalid_grant"
    stale = entra_token(provider)
    provider.post("/admin/keys/rotate")
    provider.post("/admin/keys/retire")
    assert "no key of its issuer" in exchange(provider, stale).json()["error_description"]


def test_sts_rejects_an_invalid_exchange(provider: Provider) -> None:
    token = entra_token(provider)
    for changes in ({"grant_type": "password"}, {"subject_token_type": "saml"}, {"scope": ""}):
        answer = exchange(provider, token, **changes)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_another_app_of_the_tenant_may_not_impersonate(provider: Provider) -> None:
    other = exchange(provider, entra_token(provider, sub="other")).json()["access_token"]
    assert provider.post(f"{ACCOUNT}:generateIdToken", {"audience": SERVICE}, other).status_code == 403


def test_iam_requires_a_google_token_and_an_existing_account(provider: Provider) -> None:
    token = exchange(provider, entra_token(provider)).json()["access_token"]
    wrong = provider.post(f"{ACCOUNT}:generateIdToken", {"audience": SERVICE}, entra_token(provider))
    unknown = provider.post("/v1/projects/-/serviceAccounts/x@y:generateIdToken", {"audience": SERVICE}, token)
    empty = provider.post(f"{ACCOUNT}:generateIdToken", {}, token)
    answers = [answer.json()["error"] for answer in (wrong, unknown, empty)]
    assert [(error["code"], error["status"]) for error in answers] == [
        (401, "UNAUTHENTICATED"),
        (404, "NOT_FOUND"),
        (400, "INVALID_ARGUMENT"),
    ]


def test_an_access_token_expires(provider: Provider) -> None:
    provider.set(access_lifetime=60)
    token = exchange(provider, entra_token(provider)).json()["access_token"]
    provider.set(ahead=61)
    assert provider.post(f"{ACCOUNT}:generateIdToken", {"audience": SERVICE}, token).status_code == 401
