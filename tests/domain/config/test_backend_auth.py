"""Is each way to prove who we are read with the fields that it needs?"""

from typing import Any

import pytest

from domain.config.backend_auth import read_auth
from domain.config.toml_table import TomlTable
from domain.fleet.catalog import Auth, AuthKind

URL = "https://host:8443/v1"


def auth_of(url: str = URL, **values: Any) -> tuple[Auth, list[str]]:
    table = TomlTable("auth", values, [])
    return read_auth(table, url, {"NAME": "x"}), table.problems


def test_no_proof_is_usual() -> None:
    assert auth_of("http://host:8000") == (Auth(), [])


def test_the_audience_is_what_the_file_says_or_the_origin() -> None:
    kind = AuthKind.GOOGLE_ID_TOKEN.value
    assert auth_of(kind=kind)[0].audience == "https://host:8443"
    assert auth_of(kind=kind, audience="https://%NAME%.app")[0].audience == "https://x.app"
    assert auth_of(kind=AuthKind.ENTRA.value, scope="s")[0].audience is None


@pytest.mark.parametrize(
    ("kind", "needs"),
    [
        (AuthKind.GOOGLE_ACCESS_TOKEN, ["scope"]),
        (AuthKind.ENTRA, ["scope"]),
        (AuthKind.STATIC_BEARER, ["setting"]),
        (AuthKind.AWS_KEY, ["service", "region"]),
        (AuthKind.AWS_SIGV4, ["service", "region"]),
    ],
)
def test_every_field_that_a_kind_needs_is_named(kind: AuthKind, needs: list[str]) -> None:
    problems = auth_of(kind=kind.value)[1]
    assert problems == [f"auth.{need}: expected text, which {kind.value} needs, found nothing" for need in needs]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"service": "lambda"}, "auth.service: expected one of bedrock, sagemaker, the services with short-term keys"),
        ({"region": "US-East"}, "auth.region: expected a region of AWS in small letters, digits and dashes"),
        ({"role": "admin"}, "auth.role: expected arn:aws:iam::ACCOUNT:role/NAME"),
        ({"service_account": "a"}, "auth.service_account: expected NAME@PROJECT.iam.gserviceaccount.com"),
        ({"odd": 1}, "auth.odd: expected one of the fields "),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], problem: str) -> None:
    right = {"kind": AuthKind.AWS_KEY.value, "service": "bedrock", "region": "us-east-1"}
    assert auth_of(**right)[1] == []
    (found,) = auth_of(**(right | changes))[1]
    assert found.startswith(problem)


def test_a_token_is_never_sent_in_the_clear() -> None:
    right = {"kind": AuthKind.STATIC_BEARER.value, "setting": "KEY"}
    assert auth_of("http://127.0.0.1:8000", **right)[1] == []
    assert auth_of("http://host:8000", **right)[1] == [
        "auth: expected an https address to send a token to, found 'http://host:8000'"
    ]
