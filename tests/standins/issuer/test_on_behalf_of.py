"""Does the stand-in for Entra exchange a user's token only as its documentation says?

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
"""

from pathlib import Path
from typing import Any

import pytest

from standins.issuer.entra_tokens import AUDIENCE, MANAGED_IDENTITY, LocalIssuer, guid_of, issuer_in
from standins.issuer.on_behalf_of import (
    ASSERTION_TYPE,
    DOWNSTREAM,
    EXCHANGE_AUDIENCE,
    RefusedError,
    claims_of,
    exchanged,
)

NOW = 1_795_176_000.0
TENANT = guid_of("tenant", "contoso")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> LocalIssuer:
    folder: Path = tmp_path_factory.mktemp("issuer")
    return issuer_in(folder)


def request(issuer: LocalIssuer, **changes: str | None) -> dict[str, str]:
    form = {
        "requested_token_use": "on_behalf_of",
        "client_id": AUDIENCE,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": issuer.identity_token(now=NOW, resource=EXCHANGE_AUDIENCE, lifetime_s=3600),
        "assertion": issuer.user_token(now=NOW),
        "scope": f"{DOWNSTREAM}/.default",
        **changes,
    }
    return {name: value for name, value in form.items() if value is not None}


def exchange(issuer: LocalIssuer, form: dict[str, str], *, now: float = NOW, tenant: str = TENANT) -> Any:
    return claims_of(exchanged(form, issuer, tenant, now=now, lifetime_s=600), issuer, now)


def test_the_new_token_is_the_users_for_the_other_api(issuer: LocalIssuer) -> None:
    before = claims_of(issuer.user_token(now=NOW), issuer, NOW)
    after = exchange(issuer, request(issuer))
    assert (after["aud"], after["azp"], after["scp"]) == (DOWNSTREAM, AUDIENCE, "Tickets.ReadWrite")
    assert {name: after[name] for name in ("oid", "tid")} == {name: before[name] for name in ("oid", "tid")}
    assert after["exp"] - after["iat"] == 600


@pytest.mark.parametrize(
    ("changes", "error", "number"),
    [
        ({"requested_token_use": None}, "invalid_request", "AADSTS900144"),
        ({"client_id": "another"}, "unauthorized_client", "AADSTS700016"),
        ({"client_assertion_type": "secret"}, "invalid_client", "AADSTS7000218"),
        ({"client_assertion": "x"}, "invalid_grant", "AADSTS50013"),
        ({"assertion": None}, "invalid_grant", "AADSTS50013"),
        ({"scope": "api://other/.default"}, "invalid_grant", "AADSTS65001"),
        ({"scope": f"{DOWNSTREAM}/Tickets.Read"}, "invalid_grant", "AADSTS65001"),
    ],
)
def test_a_wrong_field_is_refused_with_entras_number(
    issuer: LocalIssuer, changes: dict[str, str | None], error: str, number: str
) -> None:
    with pytest.raises(RefusedError, match=number) as refused:
        exchange(issuer, request(issuer, **changes))
    assert refused.value.error == error


def test_a_token_for_another_or_of_an_app_is_not_exchanged(issuer: LocalIssuer) -> None:
    for assertion, number in (
        (issuer.user_token(now=NOW, claims={"aud": "api://other"}), "AADSTS500131"),
        (issuer.app_token(now=NOW, app="batch"), "AADSTS50013"),
        (issuer.user_token(now=NOW - 7200), "AADSTS500133"),
        (issuer.user_token(now=NOW + 600), "AADSTS500133"),
    ):
        with pytest.raises(RefusedError, match=number):
            exchange(issuer, request(issuer, assertion=assertion))
    with pytest.raises(RefusedError, match="AADSTS50013"):
        exchange(issuer, request(issuer), tenant=guid_of("tenant", "fabrikam"))


def test_the_app_proves_itself_by_its_managed_identity_alone(issuer: LocalIssuer) -> None:
    for proof, number in (
        (issuer.identity_token(now=NOW, resource="api://other", lifetime_s=3600), "AADSTS700212"),
        (issuer.app_token(now=NOW, app="batch", claims={"aud": EXCHANGE_AUDIENCE}), "AADSTS700213"),
    ):
        with pytest.raises(RefusedError, match=number):
            exchange(issuer, request(issuer, client_assertion=proof))
    assert claims_of(request(issuer)["client_assertion"], issuer, NOW)["sub"] == MANAGED_IDENTITY
