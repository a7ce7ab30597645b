"""Do the local access tokens have the claims of Entra's, and does the public key verify them?"""

import json
import stat
from pathlib import Path
from typing import Any

import jwt
import pytest

from standins.issuer.entra_tokens import AUDIENCE, LocalIssuer, TokenVersion, guid_of, issuer_in

NOW = 1_790_000_000.0
CONTOSO = guid_of("tenant", "contoso")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> LocalIssuer:
    return issuer_in(tmp_path_factory.mktemp("data"))


def verified(issuer: LocalIssuer, token: str) -> dict[str, Any]:
    """Verifies the signature with the published key alone; the dates of these tokens are their own."""
    keys = jwt.PyJWKSet.from_dict(json.loads(issuer.key_set.read_text()))
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        audience=AUDIENCE,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )


def test_the_private_key_is_readable_only_by_its_owner(issuer: LocalIssuer) -> None:
    private = issuer.key_set.with_name("private.pem")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_the_key_set_holds_one_signing_key_and_no_secret(issuer: LocalIssuer) -> None:
    (key,) = json.loads(issuer.key_set.read_text())["keys"]
    assert (key["kty"], key["use"], key["alg"], key["kid"]) == ("RSA", "sig", "RS256", issuer.key_id)
    assert not {"d", "p", "q", "dp", "dq", "qi"} & set(key)


def test_the_key_is_created_once(tmp_path: Path) -> None:
    first = issuer_in(tmp_path)
    assert issuer_in(tmp_path).key_id == first.key_id
    assert sorted(path.name for path in (tmp_path / "identity").iterdir()) == ["jwks.json", "private.pem", "secret"]


def test_a_user_token_has_the_claims_of_version_2(issuer: LocalIssuer) -> None:
    claims = verified(issuer, issuer.user_token(now=NOW))
    assert claims == {
        "iss": f"https://login.microsoftonline.com/{CONTOSO}/v2.0",
        "aud": AUDIENCE,
        "tid": CONTOSO,
        "oid": guid_of("user", "contoso/alice"),
        "sub": guid_of("subject", "contoso/alice"),
        "azp": guid_of("app", "front-end"),
        "scp": "access_as_user",
        "ver": "2.0",
        "iat": int(NOW),
        "nbf": int(NOW),
        "exp": int(NOW) + 3600,
    }


def test_a_token_of_version_1_has_the_claims_of_version_1(issuer: LocalIssuer) -> None:
    claims = verified(issuer, issuer.user_token(now=NOW, version="1.0"))
    assert claims["iss"] == f"https://sts.windows.net/{CONTOSO}/"
    assert (claims["ver"], claims["appid"]) == ("1.0", guid_of("app", "front-end"))
    assert "azp" not in claims


@pytest.mark.parametrize(("version", "caller"), [("2.0", "azp"), ("1.0", "appid")])
def test_an_app_token_has_roles_and_no_scope(issuer: LocalIssuer, version: TokenVersion, caller: str) -> None:
    claims = verified(issuer, issuer.app_token(now=NOW, version=version))
    assert (claims["idtyp"], claims["roles"]) == ("app", ["Turns.ReadWrite"])
    assert (claims[caller], claims["oid"]) == (guid_of("app", "batch"), guid_of("principal", "contoso/batch"))
    assert "scp" not in claims


def test_users_differ_by_name_and_tenant(issuer: LocalIssuer) -> None:
    people = [("alice", "contoso"), ("bob", "contoso"), ("alice", "fabrikam")]
    tokens = [issuer.user_token(now=NOW, user=user, tenant=tenant) for user, tenant in people]
    assert len({verified(issuer, token)["oid"] for token in tokens}) == 3
    assert len({verified(issuer, token)["tid"] for token in tokens}) == 2


def test_a_claim_can_be_replaced_or_left_out(issuer: LocalIssuer) -> None:
    claims = verified(issuer, issuer.user_token(now=NOW, claims={"scp": None, "tid": "other"}))
    assert "scp" not in claims
    assert claims["tid"] == "other"


def test_a_guid_stays_as_it_is() -> None:
    assert guid_of("user", CONTOSO) == CONTOSO


def test_a_name_always_gives_the_same_guid() -> None:
    assert guid_of("tenant", "contoso") == "90492088-d02f-5189-b051-988f09c09808"
