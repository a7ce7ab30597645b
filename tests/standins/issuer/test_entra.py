"""Does the stand-in for Entra sign users, apps and a managed identity in, as the real libraries expect?"""

from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential

from standins.clock import now
from standins.issuer.entra_tokens import AUDIENCE, MANAGED_IDENTITY, guid_of
from standins.issuer.federation import RESOURCE
from tests.standins.issuer.harness import (
    Provider,
    claims_of,
)

CONTOSO = guid_of("tenant", "contoso")


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
