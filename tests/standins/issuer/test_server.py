"""Does the stand-in for Entra and Google behave like them for their client libraries?"""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential
from google.auth.exceptions import OAuthError, RefreshError

from standins.clock import now
from standins.issuer.entra_tokens import AUDIENCE, MANAGED_IDENTITY, guid_of
from standins.issuer.federation import MEMBER, PROVIDER, RESOURCE, SERVICE_ACCOUNT
from standins.issuer.google import EXCHANGE
from tests.standins.issuer.harness import (
    Provider,
    claims_of,
    google_access_token,
    google_id_token,
    redirect_google,
    running_issuer,
)

CONTOSO = guid_of("tenant", "contoso")
SERVICE = "https://service.run.app"
ACCOUNT = f"/v1/projects/-/serviceAccounts/{SERVICE_ACCOUNT}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_issuer(tmp_path_factory.mktemp("issuer")) as provider:
        yield provider


@pytest.fixture
def provider(running: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{running.base}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", running.issuer.secret)
    redirect_google(monkeypatch, running.base)
    running.reset()
    yield running
    running.reset()


@pytest.mark.parametrize(("path", "version"), [("", "1.0"), ("/v2.0", "2.0")])
def test_discovery_names_the_issuer_of_the_tokens_and_their_keys(provider: Provider, path: str, version: Any) -> None:
    document = provider.get(f"/{CONTOSO}{path}/.well-known/openid-configuration").json()
    token = provider.issuer.user_token(now=now(), version=version)
    key = provider.keys(document["jwks_uri"])[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=AUDIENCE, issuer=document["issuer"])
    assert claims["ver"] == version


@pytest.mark.parametrize("path", ["", "/v2.0"])
def test_the_common_document_names_no_tenant(provider: Provider, path: str) -> None:
    document = provider.get(f"/common{path}/.well-known/openid-configuration").json()
    assert "{tenantid}" in document["issuer"]
    assert provider.keys(document["jwks_uri"])


def test_an_unknown_tenant_has_no_document(provider: Provider) -> None:
    answer = provider.get("/nowhere/.well-known/openid-configuration")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_tenant")


def test_published_keys_have_no_secret_and_no_algorithm_like_entras(provider: Provider) -> None:
    (key,) = provider.get(f"/{CONTOSO}/discovery/v2.0/keys").json()["keys"]
    assert set(key) == {"kty", "use", "kid", "n", "e", "issuer"}


def test_keys_rotate_and_retire_on_demand(provider: Provider) -> None:
    address = f"{provider.base}/{CONTOSO}/discovery/v2.0/keys"
    before = provider.issuer.key_id
    provider.post("/admin/keys/rotate")
    after = provider.issuer.key_id
    assert list(provider.keys(address)) == [after, before]
    assert jwt.get_unverified_header(provider.issuer.user_token(now=now()))["kid"] == after
    provider.post("/admin/keys/retire")
    assert list(provider.keys(address)) == [after]


def test_a_user_signs_in_by_password(provider: Provider) -> None:
    given = {"grant_type": "password", "username": "bob@contoso", "password": provider.issuer.secret}
    answer = provider.submit("/contoso/oauth2/v2.0/token", **given)
    claims = claims_of(answer.json()["access_token"])
    assert (claims["oid"], claims["ver"]) == (guid_of("user", "contoso/bob"), "2.0")


def test_an_app_signs_in_by_its_secret(provider: Provider) -> None:
    given = {"grant_type": "client_credentials", "client_id": "batch", "client_secret": provider.issuer.secret}
    claims = claims_of(provider.submit("/contoso/oauth2/token", **given).json()["access_token"])
    assert (claims["appid"], claims["roles"], claims["ver"]) == (guid_of("app", "batch"), ["Turns.ReadWrite"], "1.0")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"grant_type": "password", "username": "bob", "password": "guessed"}, "invalid_grant"),
        ({"grant_type": "client_credentials", "client_id": "batch"}, "invalid_grant"),
        ({"grant_type": "magic"}, "unsupported_grant_type"),
    ],
)
def test_sign_in_without_the_secret_fails(provider: Provider, given: dict[str, str], error: str) -> None:
    answer = provider.submit("/contoso/oauth2/v2.0/token", **given)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_the_real_managed_identity_credential_gets_the_token_of_the_app(provider: Provider) -> None:
    given = ManagedIdentityCredential().get_token(f"{RESOURCE}/.default")
    claims = claims_of(given.token)
    assert (claims["aud"], claims["oid"], claims["sub"]) == (RESOURCE, MANAGED_IDENTITY, MANAGED_IDENTITY)
    assert (claims["iss"], claims["idtyp"]) == (f"https://sts.windows.net/{CONTOSO}/", "app")
    assert abs(given.expires_on - claims["exp"]) <= 2


def test_the_managed_identity_needs_its_header(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "guessed")
    with pytest.raises(ClientAuthenticationError, match="403, The identity header"):
        ManagedIdentityCredential().get_token(f"{RESOURCE}/.default")


def test_an_app_without_a_managed_identity_gets_none(provider: Provider) -> None:
    provider.set(managed_identity=False)
    with pytest.raises(ClientAuthenticationError, match="No User Assigned or Delegated Managed Identity"):
        ManagedIdentityCredential().get_token(f"{RESOURCE}/.default")


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


def test_lifetimes_are_configurable(provider: Provider) -> None:
    provider.set(entra_lifetime=120, id_lifetime=30)
    entra = ManagedIdentityCredential().get_token(f"{RESOURCE}/.default")
    google = claims_of(google_id_token(provider, SERVICE))
    assert entra.expires_on - now() < 121
    assert google["exp"] - google["iat"] == 30


def test_a_clock_that_is_ahead_issues_tokens_of_the_future(provider: Provider) -> None:
    provider.set(ahead=120)
    assert claims_of(google_id_token(provider, SERVICE))["iat"] - now() > 118


HOPS = {
    "discovery": f"/{CONTOSO}/.well-known/openid-configuration",
    "keys": f"/{CONTOSO}/discovery/keys",
    "google-keys": "/oauth2/v3/certs",
}


@pytest.mark.parametrize("hop", HOPS)
def test_a_hop_breaks_on_demand(provider: Provider, hop: str) -> None:
    provider.set(faults={hop: "500"})
    assert provider.get(HOPS[hop]).status_code == 500
    provider.set(faults={hop: "garbage"})
    with pytest.raises(ValueError, match="Expecting value"):
        provider.get(HOPS[hop]).json()
    provider.set(faults={})
    assert provider.get(HOPS[hop]).json()
    assert provider.counts()[hop] == 3


def test_a_hop_hangs_on_demand(provider: Provider) -> None:
    provider.set(faults={"keys": "hang"})
    began = time.monotonic()
    with pytest.raises(httpx.ReadTimeout):
        provider.client.get(HOPS["keys"], timeout=0.3)
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    ("hop", "status", "problem"),
    [
        ("managed-identity", "403", ClientAuthenticationError),
        ("sts", "503", OAuthError),
        ("id-token", "503", RefreshError),
    ],
)
def test_the_libraries_see_a_hop_that_is_down(
    provider: Provider, hop: str, status: str, problem: type[Exception]
) -> None:
    provider.set(faults={hop: status})
    with pytest.raises(problem):
        google_id_token(provider, SERVICE)


@pytest.mark.parametrize(
    "conditions", [{"faults": {"moon": "500"}}, {"faults": {"sts": "200"}}, {"provider": "no"}, {"weather": 1}]
)
def test_an_unknown_condition_is_named_in_the_error(provider: Provider, conditions: dict[str, Any]) -> None:
    answer = provider.set(**conditions)
    assert answer.status_code == 400
    assert next(iter(conditions)) in answer.json()["error"]


def test_the_console_is_opened_with_a_token_on_this_machine_alone(provider: Provider) -> None:
    answer = provider.get("/console?port=7071&user=bob&view=turn/resp_1")
    address, _, fragment = answer.headers["location"].partition("#")
    assert (answer.status_code, address) == (303, "http://127.0.0.1:7071/console")
    arrival = parse_qs(fragment)
    claims = jwt.decode(arrival["token"][0], options={"verify_signature": False})
    assert claims["oid"] == guid_of("user", "contoso/bob")
    assert set(claims["roles"]) == {"Usage.Read", "Operations.Read", "Operations.WarmUp"}
    assert arrival["view"] == ["turn/resp_1"]
    assert arrival["laptop"] == [f"{provider.base}/console/worker/kill"]


@pytest.mark.parametrize("origin", ["", "https://elsewhere.example", "null"])
def test_no_page_of_another_machine_kills_the_worker(provider: Provider, origin: str) -> None:
    answer = provider.client.post("/console/worker/kill", headers={"origin": origin} if origin else {})
    assert answer.status_code == 403


def test_where_no_worker_runs_none_is_killed(provider: Provider) -> None:
    answer = provider.client.post("/console/worker/kill", headers={"origin": "http://127.0.0.1:7071"})
    assert (answer.status_code, answer.json()) == (409, {"error": "no worker is running"})


@pytest.mark.parametrize("port", ["", "x", "0", "65536", "80@evil.example", "80/"])
def test_the_console_is_opened_on_no_other_address(provider: Provider, port: str) -> None:
    answer = provider.client.get("/console", params={"port": port})
    assert answer.status_code == 400
    assert "location" not in answer.headers
