"""Is an access token valid for this application, and which owner does it identify?

The rules are those of Microsoft Entra access tokens, versions 1.0 and 2.0
(https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference). The signature is checked
elsewhere; claims must not be trusted before that.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Never, cast

from msgspec import Struct

from domain.errors import Forbidden, Unauthenticated
from domain.identity.owners import Owner
from domain.identity.roles import AppRole

type Claims = Mapping[str, Any]

LATEST_S = 1e12
SKEW_S = 60.0
TOKEN_LIMIT = 16_384
ALGORITHM = "RS256"
SCOPE = "access_as_user"
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COMPACT = re.compile(r"(?P<header>[A-Za-z0-9_-]+)\.(?P<claims>[A-Za-z0-9_-]+)\.(?P<signature>[A-Za-z0-9_-]+)")
ISSUERS = {"1.0": "https://sts.windows.net/{tid}/", "2.0": "https://login.microsoftonline.com/{tid}/v2.0"}
CLIENTS = {"1.0": "appid", "2.0": "azp"}
AUDIENCES = {"1.0": ("{audience}", "api://{audience}"), "2.0": ("{audience}",)}


class AcceptedTokens(Struct, frozen=True, kw_only=True):
    """Which tokens this application accepts: its own application id, and the tenants that may call it."""

    audience: str
    tenants: frozenset[str]


class TokenIssuer(Struct, frozen=True, kw_only=True):
    """The issuer of a tenant for one token version. Each issuer has its own keys."""

    tenant: str
    version: str

    @property
    def issuer(self) -> str:
        return ISSUERS[self.version].format(tid=self.tenant)


class ParsedToken(Struct, frozen=True, kw_only=True):
    """The parts of a token; `signed` are the bytes that the signature covers."""

    key_id: str
    claims: Claims
    signed: bytes
    signature: bytes


def read_token(text: str) -> ParsedToken:
    """Parse a token; raises Unauthenticated for anything but a JSON Web Token signed with RS256."""
    found = COMPACT.fullmatch(text) if len(text) <= TOKEN_LIMIT else None
    if found is None:
        raise Unauthenticated("The access token is not a JSON Web Token.")
    return ParsedToken(
        key_id=key_id_of(read_section(found["header"])),
        claims=read_section(found["claims"]),
        signed=text[: found.end("claims")].encode("ascii"),
        signature=decode_base64url(found["signature"]),
    )


def key_id_of(header: Claims) -> str:
    """Return the key's id. Other key locations in the header (jku, jwk, x5u) are ignored."""
    key_id = header.get("kid")
    if header.get("alg") != ALGORITHM:
        raise Unauthenticated(f"The access token is not signed with {ALGORITHM}.")
    if "crit" in header or header.get("typ", "JWT") not in ("JWT", "at+jwt"):
        raise Unauthenticated("The access token's header has an unsupported type or a critical extension.")
    if not isinstance(key_id, str) or not key_id:
        raise Unauthenticated("The access token's header has no key id (kid).")
    return key_id


def read_section(text: str) -> Claims:
    try:
        section = json.loads(
            decode_base64url(text).decode(), object_pairs_hook=reject_duplicates, parse_constant=reject_constant
        )
    except (ValueError, RecursionError):
        raise Unauthenticated("The access token's content is not valid JSON.") from None
    if not isinstance(section, dict):
        raise Unauthenticated("The access token's content is not a JSON object.")
    return cast("dict[str, Any]", section)


def decode_base64url(text: str) -> bytes:
    """Decode base64url without padding; a non-canonical encoding of the same bytes is rejected."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise Unauthenticated("The access token is not encoded as base64url.") from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != text.encode():
        raise Unauthenticated("The access token is not encoded as base64url.")
    return raw


def reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    section = dict(pairs)
    if len(section) != len(pairs):
        raise ValueError("a JSON object has a duplicate name")
    return section


def reject_constant(name: str) -> Never:
    raise ValueError(f"{name} is not valid JSON")


def issuer_of(claims: Claims, expected: AcceptedTokens) -> TokenIssuer:
    """Return the issuer whose keys must have signed a token with these unverified claims.

    Raises Unauthenticated for the issuer of any other tenant, so that its keys are never fetched.
    """
    for check in (check_version, check_tenant, check_issuer):
        problem = check(claims, expected, 0.0)
        if problem:
            raise Unauthenticated(problem)
    return TokenIssuer(tenant=claims["tid"], version=claims["ver"])


def owner_from_claims(claims: Claims, expected: AcceptedTokens, *, now: float) -> Owner:
    """Return the owner that a token identifies.

    Raises Unauthenticated where the token is for another application, from another tenant or not valid at `now`
    (seconds since the epoch). Raises Forbidden where a valid token lacks the scope or the role.
    """
    for check in CHECKS:
        problem = check(claims, expected, now)
        if problem:
            raise Unauthenticated(problem)
    return application_owner(claims) if claims.get("idtyp") == "app" else user_owner(claims)


def application_owner(claims: Claims) -> Owner:
    roles = claims.get("roles")
    if not isinstance(roles, list) or not {AppRole.TURNS.value, AppRole.EVENTS_SEND.value} & set(roles_of(claims)):
        raise Forbidden(f"The application needs the role {AppRole.TURNS}. Ask an administrator to assign it.")
    return Owner(tenant=claims["tid"], subject=f"app:{claims[CLIENTS[claims['ver']]]}", roles=roles_of(claims))


def user_owner(claims: Claims) -> Owner:
    scopes = claims.get("scp")
    if not isinstance(scopes, str) or SCOPE not in scopes.split(" "):
        raise Forbidden(f"The access token needs the scope {SCOPE}. Request a token with this scope.")
    return Owner(tenant=claims["tid"], subject=f"user:{claims['oid']}", roles=roles_of(claims))


def roles_of(claims: Claims) -> tuple[str, ...]:
    """Return the roles that the token grants; a claim of another shape grants none."""
    roles = claims.get("roles")
    listed = cast("list[Any]", roles) if isinstance(roles, list) else []
    return tuple(sorted({role for role in listed if isinstance(role, str) and role}))


def is_time(value: object) -> bool:
    """Return whether a value is a time in seconds; larger numbers do not fit the arithmetic."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -LATEST_S < value < LATEST_S


def is_guid(value: object) -> bool:
    return isinstance(value, str) and GUID.fullmatch(value) is not None


def check_expiry(claims: Claims, _expected: AcceptedTokens, now: float) -> str:
    expires = claims.get("exp")
    if not is_time(expires):
        return "The access token's exp claim is missing or not a number."
    return "" if now < cast("float", expires) + SKEW_S else "The access token has expired. Request a new one."


def check_start(claims: Claims, _expected: AcceptedTokens, now: float) -> str:
    starts = [claims[name] for name in ("nbf", "iat") if name in claims]
    if not all(is_time(start) for start in starts):
        return "The access token's nbf or iat claim is not a number."
    return (
        ""
        if all(now >= start - SKEW_S for start in starts)
        else "The access token is not valid yet (nbf or iat claim)."
    )


def check_version(claims: Claims, _expected: AcceptedTokens, _now: float) -> str:
    version = claims.get("ver")
    known = isinstance(version, str) and version in ISSUERS
    return "" if known else "The access token's version is not supported (ver claim; expected 1.0 or 2.0)."


def check_tenant(claims: Claims, expected: AcceptedTokens, _now: float) -> str:
    tenant = claims.get("tid")
    allowed = is_guid(tenant) and tenant in expected.tenants
    return "" if allowed else "The access token's tenant may not call this service (tid claim)."


def check_issuer(claims: Claims, _expected: AcceptedTokens, _now: float) -> str:
    issuer = ISSUERS[claims["ver"]].format(tid=claims["tid"])
    return (
        ""
        if claims.get("iss") == issuer
        else "The access token's issuer does not match its tenant and version (iss claim)."
    )


def check_audience(claims: Claims, expected: AcceptedTokens, _now: float) -> str:
    allowed = [template.format(audience=expected.audience) for template in AUDIENCES[claims["ver"]]]
    return "" if claims.get("aud") in allowed else "The access token is for another application (aud claim)."


def check_identity(claims: Claims, _expected: AcceptedTokens, _now: float) -> str:
    named = is_guid(claims.get("oid")) and is_guid(claims.get(CLIENTS[claims["ver"]]))
    return "" if named else "The access token does not identify the caller (oid and azp or appid claims)."


def check_kind(claims: Claims, _expected: AcceptedTokens, _now: float) -> str:
    """A token of an application has no scope; a token of a user has one."""
    kind = claims.get("idtyp", "user")
    clear = kind == "user" or (kind == "app" and "scp" not in claims)
    return "" if clear else "The access token is neither a user's nor an application's (idtyp and scp claims)."


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
"""The order matters: later checks rely on earlier ones. Each check returns the problem, or an empty text."""
