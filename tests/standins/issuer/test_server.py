"""Does the stand-in for Entra and Google behave like them for their client libraries?"""

import time
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential
from google.auth.exceptions import OAuthError, RefreshError

from standins.clock import now
from standins.issuer.entra_tokens import guid_of
from standins.issuer.federation import RESOURCE
from tests.standins.issuer.harness import (
    Provider,
    claims_of,
    google_id_token,
)

CONTOSO = guid_of("tenant", "contoso")
SERVICE = "https://service.run.app"


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
