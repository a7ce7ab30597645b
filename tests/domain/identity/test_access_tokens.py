"""Which access tokens are accepted after their signature was verified?"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Forbidden, Unauthenticated
from domain.identity.access_tokens import SKEW_S, TOKEN_LIMIT, AcceptedTokens, owner_from_claims, read_token
from domain.identity.owners import Owner

NOW = 1_800_000_000.0
TENANT = "11111111-1111-1111-1111-111111111111"
OTHER = "99999999-9999-9999-9999-999999999999"
OID = "22222222-2222-2222-2222-222222222222"
CLIENT = "33333333-3333-3333-3333-333333333333"
AUDIENCE = "44444444-4444-4444-4444-444444444444"
EXPECTED = AcceptedTokens(audience=AUDIENCE, tenants=frozenset({TENANT}))

type Claims = Mapping[str, Any]

USER: Claims = {
    "ver": "2.0",
    "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    "aud": AUDIENCE,
    "tid": TENANT,
    "oid": OID,
    "azp": CLIENT,
    "scp": "profile access_as_user",
    "iat": NOW - 10,
    "nbf": NOW - 10,
    "exp": NOW + 3600,
}
OLD_USER: Claims = {
    **{name: value for name, value in USER.items() if name != "azp"},
    "ver": "1.0",
    "iss": f"https://sts.windows.net/{TENANT}/",
    "aud": f"api://{AUDIENCE}",
    "appid": CLIENT,
}
APPLICATION: Claims = {
    **{name: value for name, value in USER.items() if name != "scp"},
    "idtyp": "app",
    "roles": ["Turns.Read", "Turns.ReadWrite"],
}

OWNERS = {
    "a user, version 2": (USER, f"user:{OID}"),
    "a user, version 1": (OLD_USER, f"user:{OID}"),
    "a user, version 1, bare audience": ({**OLD_USER, "aud": AUDIENCE}, f"user:{OID}"),
    "a user that says so": ({**USER, "idtyp": "user"}, f"user:{OID}"),
    "a user with e-mail, which counts for nothing": ({**USER, "email": "a@b.c", "upn": "a@b.c"}, f"user:{OID}"),
    "an application": (APPLICATION, f"app:{CLIENT}"),
    "no nbf and no iat": ({k: v for k, v in USER.items() if k not in ("nbf", "iat")}, f"user:{OID}"),
    "expired within the skew": ({**USER, "exp": NOW - SKEW_S + 1}, f"user:{OID}"),
    "begins within the skew": ({**USER, "nbf": NOW + SKEW_S - 1}, f"user:{OID}"),
}

UNAUTHENTICATED = {
    "expired": {"exp": NOW - SKEW_S},
    "never expires": {"exp": None},
    "expires at infinity": {"exp": float("inf")},
    "expires after the end of time": {"exp": 10**400},
    "expires long before its beginning": {"exp": -(10**400)},
    "expires as a text": {"exp": str(NOW + 3600)},
    "expires as true": {"exp": True},
    "begins later": {"nbf": NOW + SKEW_S + 1},
    "issued later": {"iat": NOW + SKEW_S + 1},
    "begins as a text": {"nbf": "0"},
    "unknown version": {"ver": "3.0"},
    "version as a list": {"ver": ["2.0"]},
    "version of the other issuer": {"ver": "1.0"},
    "unknown tenant": {"tid": OTHER, "iss": f"https://login.microsoftonline.com/{OTHER}/v2.0"},
    "tenant is a list": {"tid": [TENANT]},
    "tenant in capitals": {"tid": TENANT.replace("1", "A")},
    "issuer of another tenant": {"iss": f"https://login.microsoftonline.com/{OTHER}/v2.0"},
    "issuer with more behind it": {"iss": f"https://login.microsoftonline.com/{TENANT}/v2.0/"},
    "issuer over http": {"iss": f"http://login.microsoftonline.com/{TENANT}/v2.0"},
    "issuer missing": {"iss": None},
    "another audience": {"aud": OTHER},
    "a list of audiences": {"aud": [AUDIENCE]},
    "an address as audience in version 2": {"aud": f"api://{AUDIENCE}"},
    "no object id": {"oid": None},
    "object id is no GUID": {"oid": "../../etc"},
    "object id is a number": {"oid": 1},
    "no client": {"azp": None},
    "client of the other version": {"azp": None, "appid": CLIENT},
    "unknown kind": {"idtyp": "device"},
    "an application with a scope": {"idtyp": "app", "roles": ["Turns.ReadWrite"]},
}

FORBIDDEN = {
    "no scope": ({**USER, "scp": None}),
    "another scope": ({**USER, "scp": "access_as_user.read"}),
    "scope as a list": ({**USER, "scp": ["access_as_user"]}),
    "a user with an application's role": ({**USER, "scp": "", "roles": ["Turns.ReadWrite"]}),
    "an application without roles": ({**APPLICATION, "roles": None}),
    "an application with another role": ({**APPLICATION, "roles": ["Turns.Read"]}),
    "roles as a text": ({**APPLICATION, "roles": "Turns.ReadWrite"}),
}


@pytest.mark.parametrize(("claims", "subject"), OWNERS.values(), ids=OWNERS)
def test_a_good_token_names_its_owner(claims: Claims, subject: str) -> None:
    assert owner_from_claims(claims, EXPECTED, now=NOW) == Owner(tenant=TENANT, subject=subject)


@pytest.mark.parametrize("changes", UNAUTHENTICATED.values(), ids=UNAUTHENTICATED)
def test_a_token_that_breaks_one_rule_is_rejected(changes: Claims) -> None:
    with pytest.raises(Unauthenticated):
        owner_from_claims({**USER, **changes}, EXPECTED, now=NOW)


@pytest.mark.parametrize("name", ["exp", "ver", "tid", "iss", "aud", "oid", "azp"])
def test_a_token_that_lacks_a_claim_is_rejected(name: str) -> None:
    with pytest.raises(Unauthenticated):
        owner_from_claims({key: value for key, value in USER.items() if key != name}, EXPECTED, now=NOW)


@pytest.mark.parametrize("claims", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_token_without_the_permission_is_known_and_forbidden(claims: Claims) -> None:
    with pytest.raises(Forbidden):
        owner_from_claims(claims, EXPECTED, now=NOW)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(list(map(str, USER.values()))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


@given(st.sampled_from([USER, OLD_USER, APPLICATION]), st.dictionaries(st.sampled_from([*USER, "idtyp"]), VALUES))
def test_any_claims_cause_only_declared_errors(base: Claims, changes: Claims) -> None:
    try:
        owner = owner_from_claims({**base, **changes}, EXPECTED, now=NOW)
    except (Unauthenticated, Forbidden):
        return
    assert owner.tenant == TENANT
    assert owner.subject.partition(":")[0] in ("user", "app")


def section(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(header: Any = None, claims: Any = None, signature: str = "c2ln") -> str:
    return f"{section(header or {'alg': 'RS256', 'kid': 'one'})}.{section(claims or {'a': 1})}.{signature}"


def test_a_token_is_parsed() -> None:
    text = token()
    found = read_token(text)
    assert (found.key_id, found.claims, found.signature) == ("one", {"a": 1}, b"sig")
    assert found.signed == text.rpartition(".")[0].encode()


def test_key_locations_in_a_header_are_ignored() -> None:
    header: Claims = {
        "alg": "RS256",
        "kid": "one",
        "jku": "https://evil.example",
        "jwk": {"kty": "RSA"},
        "x5u": "x",
        "x5c": [],
    }
    assert read_token(token(header)).key_id == "one"


MALFORMED = {
    "empty": "",
    "two parts": "a.b",
    "four parts": f"{token()}.a",
    "no signature": token(signature=""),
    "padding": token() + "=",
    "line end": token() + "\n",
    "standard base64": token(signature="a+b/"),
    "another spelling of the signature": token(signature="c2lnZx"),
    "impossible length": token(signature="abcde"),
    "too long": token(claims={"a": "x" * TOKEN_LIMIT}),
    "no JSON": token(b"{"),
    "no UTF-8": token(b'{"alg":"RS256","kid":"\xff"}'),
    "no object": token([1]),
    "claims are no object": token(claims=[1]),
    "deep": token(claims=b"[" * 10_000),
    "a name twice": token(b'{"alg":"RS256","kid":"one","kid":"two"}'),
    "NaN": token(claims=b'{"exp":NaN}'),
    "no algorithm": token({"alg": "none", "kid": "one"}),
    "a shared secret": token({"alg": "HS256", "kid": "one"}),
    "another RSA": token({"alg": "RS512", "kid": "one"}),
    "padding of another kind": token({"alg": "PS256", "kid": "one"}),
    "algorithm in small letters": token({"alg": "rs256", "kid": "one"}),
    "algorithms as a list": token({"alg": ["RS256"], "kid": "one"}),
    "no key id": token({"alg": "RS256"}),
    "key id is a number": token({"alg": "RS256", "kid": 1}),
    "key id is empty": token({"alg": "RS256", "kid": ""}),
    "critical extension": token({"alg": "RS256", "kid": "one", "crit": ["b64"], "b64": False}),
    "another type": token({"alg": "RS256", "kid": "one", "typ": "JWE"}),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_token_is_rejected(text: str) -> None:
    with pytest.raises(Unauthenticated):
        read_token(text)


@given(st.text() | st.lists(st.text("aA0-_.=+/ \x00é"), min_size=3, max_size=3).map(".".join))
def test_a_text_made_at_random_is_rejected(text: str) -> None:
    with pytest.raises(Unauthenticated):
        read_token(text)
