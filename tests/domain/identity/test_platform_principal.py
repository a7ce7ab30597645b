"""Do the rules of access tokens apply to the claims of a platform principal?"""

import base64
import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Forbidden, Unauthenticated
from domain.identity.access_tokens import owner_from_claims
from domain.identity.owners import Owner
from domain.identity.platform_principal import LONG_NAMES, PRINCIPAL_LIMIT, TIMES, claims_from_principal
from tests.domain.identity.test_access_tokens import APPLICATION, CLIENT, EXPECTED, NOW, OID, OLD_USER, TENANT, USER

LONG = {short: long for long, short in LONG_NAMES.items()}


def entries(claims: Mapping[str, Any], *, long: bool = False) -> list[dict[str, str]]:
    """List claims as the platform does: texts alone, one entry for each role."""
    listed: list[dict[str, str]] = []
    for name, value in claims.items():
        values = cast("list[Any]", value) if isinstance(value, list) else [value]
        typ = LONG.get(name, name) if long else name
        listed += [{"typ": typ, "val": str(int(each)) if name in TIMES else each} for each in values]
    return listed


def encoded(principal: Any) -> str:
    raw = principal if isinstance(principal, bytes) else json.dumps(principal).encode()
    return base64.b64encode(raw).decode()


def principal(listed: Any, auth_typ: Any = "aad") -> str:
    return encoded({"auth_typ": auth_typ, "claims": listed, "name_typ": "n", "role_typ": "r"})


OWNERS = {
    "a user": (USER, f"user:{OID}"),
    "a user, version 1": (OLD_USER, f"user:{OID}"),
    "an application": (APPLICATION, f"app:{CLIENT}"),
}


@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize(("claims", "subject"), OWNERS.values(), ids=OWNERS)
def test_a_signed_in_caller_is_the_owner_of_the_token(claims: Any, subject: str, long: bool) -> None:  # noqa: FBT001 - a table
    found = claims_from_principal(principal(entries(claims, long=long)))
    assert owner_from_claims(found, EXPECTED, now=NOW) == Owner(tenant=TENANT, subject=subject)


REJECTED = {
    "expired": ({**USER, "exp": NOW - 61}, Unauthenticated),
    "another audience": ({**USER, "aud": CLIENT}, Unauthenticated),
    "another tenant": ({**USER, "tid": CLIENT}, Unauthenticated),
    "no version": ({name: value for name, value in USER.items() if name != "ver"}, Unauthenticated),
    "no scope": ({name: value for name, value in USER.items() if name != "scp"}, Forbidden),
    "an application without its role": ({**APPLICATION, "roles": ["Other"]}, Forbidden),
}


@pytest.mark.parametrize(("claims", "error"), REJECTED.values(), ids=REJECTED)
def test_the_rules_of_tokens_hold(claims: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        owner_from_claims(claims_from_principal(principal(entries(claims))), EXPECTED, now=NOW)


GOOD = entries(USER)

MALFORMED = {
    "empty": "",
    "no base64": "{}",
    "without its padding": principal(GOOD).rstrip("=") + "=" if principal(GOOD).endswith("==") else "abc",
    "base64url": encoded(b'{"a":"\xfb\xff"}').replace("+", "-").replace("/", "_") + "-",
    "white space": principal(GOOD)[:4] + "\n" + principal(GOOD)[4:],
    "no UTF-8": encoded(b"\xff"),
    "no JSON": encoded(b"{"),
    "no object": encoded([]),
    "a name twice": encoded(b'{"auth_typ":"aad","auth_typ":"aad","claims":[]}'),
    "NaN": encoded(b'{"auth_typ":"aad","claims":[],"x":NaN}'),
    "too deep": encoded(b"[" * 10_000),
    "too long": principal([{"typ": "x", "val": "x" * PRINCIPAL_LIMIT}]),
    "another provider": principal(GOOD, "google"),
    "no provider": principal(GOOD, None),
    "no claims": principal(None),
    "a claim without a value": principal([*GOOD, {"typ": "x"}]),
    "a claim that is a text": principal([*GOOD, "x"]),
    "a value that is a number": principal([*GOOD, {"typ": "x", "val": 1}]),
    "an owner twice": principal([*GOOD, {"typ": "oid", "val": OID}]),
    "an owner twice, under two names": principal([*GOOD, {"typ": LONG["oid"], "val": CLIENT}]),
    "a time in words": principal([{"typ": "exp", "val": "tomorrow"}]),
    "a time in other digits": principal([{"typ": "exp", "val": "١٢"}]),
    "a time beyond all time": principal([{"typ": "exp", "val": "9" * 13}]),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_principal_is_rejected(text: str) -> None:
    with pytest.raises(Unauthenticated):
        claims_from_principal(text)


def test_other_claims_are_ignored() -> None:
    more = [{"typ": "email", "val": "a@b.c"}, {"typ": "name", "val": "A"}, {"typ": "groups", "val": "g"}]
    assert claims_from_principal(principal([*GOOD, *more])) == claims_from_principal(principal(GOOD))


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
def test_a_text_made_at_random_is_rejected(text: str) -> None:
    with pytest.raises(Unauthenticated):
        claims_from_principal(text)
