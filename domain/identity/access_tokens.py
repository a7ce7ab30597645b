"""Whose access token is it, and may its bearer call us?

The rules are those of Microsoft Entra access tokens, versions 1.0 and 2.0
(https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference). A signature is checked elsewhere;
nothing here may be believed before that.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Never, cast

from domain.errors import Forbidden, Unauthenticated
from domain.identity.owners import Owner

type Claims = Mapping[str, Any]

SKEW_S = 60.0
TOKEN_LIMIT = 16_384
ALGORITHM = "RS256"
SCOPE = "access_as_user"
ROLE = "Turns.ReadWrite"
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COMPACT = re.compile(r"(?P<header>[A-Za-z0-9_-]+)\.(?P<claims>[A-Za-z0-9_-]+)\.(?P<signature>[A-Za-z0-9_-]+)")
ISSUERS = {"1.0": "https://sts.windows.net/{tid}/", "2.0": "https://login.microsoftonline.com/{tid}/v2.0"}
CLIENTS = {"1.0": "appid", "2.0": "azp"}
AUDIENCES = {"1.0": ("{audience}", "api://{audience}"), "2.0": ("{audience}",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedTokens:
    """What makes a token one for us: our application's id, and the tenants that may call."""

    audience: str
    tenants: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer:
    """Who issued a token: a tenant's issuer of one version. Each has keys of its own."""

    tenant: str
    version: str

    @property
    def issuer(self) -> str:
        return ISSUERS[self.version].format(tid=self.tenant)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedToken:
    """The parts of a token's text: `signed` is what its signature covers."""

    key_id: str
    claims: Claims
    signed: bytes
    signature: bytes


def read_token(text: str) -> ParsedToken:
    """Take a token's text apart; raises Unauthenticated for anything but a JSON Web Token signed with RS256."""
    found = COMPACT.fullmatch(text) if len(text) <= TOKEN_LIMIT else None
    if found is None:
        raise Unauthenticated("The access token is not a JSON Web Token.")
    return ParsedToken(
        key_id=key_id_of(read_section(found["header"])),
        claims=read_section(found["claims"]),
        signed=text[: found.end("claims")].encode("ascii"),
        signature=decoded(found["signature"]),
    )


def key_id_of(header: Claims) -> str:
    """Return the id of the key; where else a header says that keys are to be found (jku, jwk, x5u) is not read."""
    key_id = header.get("kid")
    if header.get("alg") != ALGORITHM:
        raise Unauthenticated(f"The access token is not signed with {ALGORITHM}.")
    if "crit" in header or header.get("typ", "JWT") not in ("JWT", "at+jwt"):
        raise Unauthenticated("The access token's header asks for what we do not support.")
    if not isinstance(key_id, str) or not key_id:
        raise Unauthenticated("The access token does not name its key.")
    return key_id


def read_section(text: str) -> Claims:
    try:
        section = json.loads(decoded(text).decode(), object_pairs_hook=unique, parse_constant=reject_constant)
    except (ValueError, RecursionError):
        raise Unauthenticated("The access token's content is not JSON.") from None
    if not isinstance(section, dict):
        raise Unauthenticated("The access token's content is not an object.")
    return cast("dict[str, Any]", section)


def decoded(text: str) -> bytes:
    """Decode base64url without padding; another spelling of the same bytes is refused."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise Unauthenticated("The access token is not base64url.") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != text.encode():
        raise Unauthenticated("The access token is not base64url.")
    return raw


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    section = dict(pairs)
    if len(section) != len(pairs):
        raise ValueError("duplicate name")
    return section


def reject_constant(name: str) -> Never:
    raise ValueError(f"{name} is no JSON")


def issuer_of(claims: Claims, expected: AcceptedTokens) -> TokenIssuer:
    """Return whose keys must have signed a token with these claims, of which nothing is believed yet.

    Raises Unauthenticated where that is no issuer of a tenant that may call: nobody else's keys are ever fetched.
    """
    for check in (check_version, check_tenant, check_issuer):
        problem = check(claims, expected, 0.0)
        if problem:
            raise Unauthenticated(problem)
    return TokenIssuer(tenant=claims["tid"], version=claims["ver"])


def owner_from_claims(claims: Claims, expected: AcceptedTokens, *, now: float) -> Owner:
    """Return the owner that a token speaks for.

    Raises Unauthenticated where the token is not for us, not from a tenant of ours or not valid at `now` (seconds since
    the epoch), and Forbidden where it is all that and lacks the permission.
    """
    for check in CHECKS:
        problem = check(claims, expected, now)
        if problem:
            raise Unauthenticated(problem)
    return application(claims) if claims.get("idtyp") == "app" else user(claims)


def application(claims: Claims) -> Owner:
    roles = claims.get("roles")
    if not isinstance(roles, list) or ROLE not in roles:
        raise Forbidden(f"The application needs the role {ROLE}.")
    return Owner(tenant=claims["tid"], subject=f"app:{claims[CLIENTS[claims['ver']]]}", roles=roles_of(claims))


def user(claims: Claims) -> Owner:
    scopes = claims.get("scp")
    if not isinstance(scopes, str) or SCOPE not in scopes.split(" "):
        raise Forbidden(f"The access token needs the scope {SCOPE}.")
    return Owner(tenant=claims["tid"], subject=f"user:{claims['oid']}", roles=roles_of(claims))


def roles_of(claims: Claims) -> tuple[str, ...]:
    """Return the roles that the token grants; a claim of another shape grants none."""
    roles = claims.get("roles")
    listed = cast("list[Any]", roles) if isinstance(roles, list) else []
    return tuple(sorted({role for role in listed if isinstance(role, str) and role}))


def is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def is_guid(value: object) -> bool:
    return isinstance(value, str) and GUID.fullmatch(value) is not None


def check_expiry(claims: Claims, _expected: AcceptedTokens, now: float) -> str:
    expires = claims.get("exp")
    if not is_time(expires):
        return "The access token does not say when it expires."
    return "" if now < cast("float", expires) + SKEW_S else "The access token has expired."


def check_start(claims: Claims, _expected: AcceptedTokens, now: float) -> str:
    starts = [claims[name] for name in ("nbf", "iat") if name in claims]
    if not all(is_time(start) for start in starts):
        return "The access token does not say when it begins."
    return "" if all(now >= start - SKEW_S for start in starts) else "The access token is not valid yet."


def check_version(claims: Claims, _expected: AcceptedTokens, _now: float) -> str:
    version = claims.get("ver")
    known = isinstance(version, str) and version in ISSUERS
    return "" if known else "The access token's version is not supported: expected 1.0 or 2.0."


def check_tenant(claims: Claims, expected: AcceptedTokens, _now: float) -> str:
    tenant = claims.get("tid")
    allowed = is_guid(tenant) and tenant in expected.tenants
    return "" if allowed else "The access token is not from a tenant that may call."


def check_issuer(claims: Claims, _expected: AcceptedTokens, _now: float) -> str:
    issuer = ISSUERS[claims["ver"]].format(tid=claims["tid"])
    return "" if claims.get("iss") == issuer else "The access token is not from its tenant's issuer."


def check_audience(claims: Claims, expected: AcceptedTokens, _now: float) -> str:
    allowed = [template.format(audience=expected.audience) for template in AUDIENCES[claims["ver"]]]
    return "" if claims.get("aud") in allowed else "The access token is for another application."


def check_identity(claims: Claims, _expected: AcceptedTokens, _now: float) -> str:
    named = is_guid(claims.get("oid")) and is_guid(claims.get(CLIENTS[claims["ver"]]))
    return "" if named else "The access token does not say who calls."


def check_kind(claims: Claims, _expected: AcceptedTokens, _now: float) -> str:
    """A token of an application carries no scope; a token of a user does."""
    kind = claims.get("idtyp", "user")
    clear = kind == "user" or (kind == "app" and "scp" not in claims)
    return "" if clear else "The access token is neither a user's nor an application's."


type Check = Callable[[Claims, AcceptedTokens, float], str]

CHECKS: tuple[Check, ...] = (
    check_version,
    check_tenant,
    check_issuer,
    check_audience,
    check_expiry,
    check_start,
    check_identity,
    check_kind,
)
"""In this order: later ones rely on what earlier ones made sure of. Each returns what is wrong, or an empty text."""
