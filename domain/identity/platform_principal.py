"""Which claims does App Service Authentication pass on about a signed-in caller?

Azure App Service Authentication puts the claims of the token that it has validated into `X-MS-CLIENT-PRINCIPAL`:
base64 of JSON, `{"auth_typ": "aad", "claims": [{"typ": …, "val": …}]}`. Some claims have their long
WS-Federation names (https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities).
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from domain.errors import Unauthenticated
from domain.identity.access_tokens import Claims, reject_constant, reject_duplicates

PRINCIPAL_LIMIT: Final = 16_384
PROVIDER: Final = "aad"
BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
SECONDS: Final = re.compile(r"[0-9]{1,12}")

TEXTS: Final = frozenset({"ver", "tid", "iss", "aud", "oid", "appid", "azp", "idtyp", "scp"})
TIMES: Final = frozenset({"exp", "nbf", "iat"})
LISTS: Final = frozenset({"roles"})

LONG_NAMES: Final[Mapping[str, str]] = {
    "http://schemas.microsoft.com/identity/claims/objectidentifier": "oid",
    "http://schemas.microsoft.com/identity/claims/tenantid": "tid",
    "http://schemas.microsoft.com/identity/claims/scope": "scp",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/role": "roles",
}


def claims_from_principal(text: str) -> Claims:
    """Return the claims that identify the caller, named as in a token; raises Unauthenticated for malformed input."""
    principal = read_principal(text)
    if principal.get("auth_typ") != PROVIDER:
        raise Unauthenticated("The platform did not sign the caller in with Microsoft Entra.")
    claims: dict[str, Any] = {}
    for name, value in named_claims(principal.get("claims")):
        if name in LISTS:
            claims.setdefault(name, []).append(value)
        elif name in claims:
            raise Unauthenticated(f"The platform principal has the claim {name} twice.")
        else:
            claims[name] = time_in_seconds(name, value) if name in TIMES else value
    return claims


def read_principal(text: str) -> Mapping[str, Any]:
    whole = len(text) <= PRINCIPAL_LIMIT and len(text) % 4 == 0 and BASE64.fullmatch(text)
    try:
        raw = base64.b64decode(text, validate=True) if whole else b""
        principal = json.loads(raw.decode(), object_pairs_hook=reject_duplicates, parse_constant=reject_constant)
    except (ValueError, RecursionError):
        raise Unauthenticated("The X-MS-CLIENT-PRINCIPAL header is not base64-encoded JSON.") from None
    if not isinstance(principal, dict):
        raise Unauthenticated("The X-MS-CLIENT-PRINCIPAL header is not a JSON object.")
    return cast("dict[str, Any]", principal)


def named_claims(listed: object) -> Iterator[tuple[str, str]]:
    """Yield the known claims under their short names."""
    if not isinstance(listed, list):
        raise Unauthenticated("The platform principal has no list of claims.")
    for entry in cast("list[Any]", listed):
        match entry:
            case {"typ": str(typ), "val": str(value)}:
                name = LONG_NAMES.get(typ, typ)
                if name in TEXTS | TIMES | LISTS:
                    yield name, value
            case _:
                raise Unauthenticated("The platform principal has a claim without a text value.")


def time_in_seconds(name: str, value: str) -> int:
    if not SECONDS.fullmatch(value):
        raise Unauthenticated(f"The platform principal's claim {name} is not a time in seconds.")
    return int(value)
