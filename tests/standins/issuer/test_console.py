"""Does the sign-in of the console follow RFC 6749 and RFC 7636, so that a stolen code is worth nothing?"""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from standins.issuer.console import ROLES
from standins.issuer.entra_tokens import guid_of
from tests.standins.issuer.harness import Provider, claims_of, running_issuer

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""The example of RFC 7636, appendix B."""

PAGE = "http://127.0.0.1:7071/console"
ASKED = {
    "client_id": "page",
    "response_type": "code",
    "response_mode": "fragment",
    "redirect_uri": PAGE,
    "scope": "api://ganglion/access_as_user",
    "state": "s1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running_issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


def authorized(provider: Provider, **changes: str) -> httpx.Response:
    return httpx.get(f"{provider.base}/organizations/oauth2/v2.0/authorize", params={**ASKED, **changes})


def code_for(provider: Provider, login: str = "contoso/alice") -> str:
    answer = authorized(provider, login=login)
    back = urlsplit(answer.headers["location"])
    assert (answer.status_code, f"{back.scheme}://{back.netloc}{back.path}") == (302, PAGE)
    fields = parse_qs(back.fragment)
    assert fields["state"] == ["s1"]
    return fields["code"][0]


def redeemed(provider: Provider, code: str, *, origin: str = "http://127.0.0.1:7071", **changes: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "client_id": "page", "redirect_uri": PAGE, "code": code}
    return httpx.post(
        f"{provider.base}/organizations/oauth2/v2.0/token",
        data={**form, "code_verifier": VERIFIER, **changes},
        headers={"origin": origin} if origin else {},
    )


def test_a_person_is_chosen_and_the_code_is_worth_that_persons_token_once(provider: Provider) -> None:
    assert "fabrikam/bob" in authorized(provider).text
    code = code_for(provider, "fabrikam/bob")
    answer = redeemed(provider, code)
    claims = claims_of(answer.json()["access_token"])
    assert (claims["oid"], claims["tid"]) == (guid_of("user", "fabrikam/bob"), guid_of("tenant", "fabrikam"))
    assert claims["roles"] == list(ROLES)
    assert answer.headers["access-control-allow-origin"] == "http://127.0.0.1:7071"
    assert redeemed(provider, code).json()["error_description"].startswith("AADSTS54005")


@pytest.mark.parametrize(
    ("origin", "changes", "problem"),
    [
        ("http://127.0.0.1:7071", {"code_verifier": VERIFIER[::-1]}, "AADSTS501481"),
        ("http://127.0.0.1:7071", {"client_id": "another"}, "AADSTS50011"),
        ("http://127.0.0.1:7071", {"redirect_uri": f"{PAGE}/other"}, "AADSTS50011"),
        ("", {}, "AADSTS9002327"),
    ],
)
def test_a_code_in_other_hands_is_worth_nothing(
    provider: Provider, origin: str, changes: dict[str, str], problem: str
) -> None:
    code = code_for(provider)
    answer = redeemed(provider, code, origin=origin, **changes)
    assert (answer.status_code, answer.json()["error_description"].partition(":")[0]) == (400, problem)
    assert redeemed(provider, code).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://elsewhere.example/console"},
        {"redirect_uri": f"{PAGE}#fragment"},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"response_mode": "query"},
        {"state": ""},
        {"login": "contoso/mallory"},
    ],
)
def test_a_request_that_no_page_should_send_gets_no_code(provider: Provider, changes: dict[str, str]) -> None:
    assert authorized(provider, **changes).status_code == 400
