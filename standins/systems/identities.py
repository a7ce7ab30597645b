"""Does a stand-in accept the identity of its caller?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jwt
from aiohttp import web

from standins.clock import now
from standins.issuer.aws_signatures import InvalidSignature, Scope, SignedRequest, verify_headers, verify_key
from standins.issuer.entra_tokens import ISSUERS as ENTRA_ISSUERS
from standins.issuer.entra_tokens import MANAGED_IDENTITY, TENANTS, guid_of, published_keys
from standins.issuer.federation import SERVICE_ACCOUNT
from standins.issuer.google_tokens import GoogleKey

SECRET = "the-secret-of-the-caller"  # noqa: S105 - it opens stand-ins only
REGION = "us-east-1"
GOOGLE_ISSUER = "https://accounts.google.com"
SCHEME = "bearer "


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKeys:
    """The keys of the local issuers: the folder of Entra's public ones, and Google's."""

    data: Path
    google: GoogleKey

    def entra_key(self, key_id: str) -> jwt.PyJWK:
        """Return a published key, read afresh: keys rotate. Raises InvalidTokenError for an unknown one."""
        listed = published_keys(self.data / "identity" / "jwks.json")
        found = next((entry for entry in listed if entry["kid"] == key_id), None)
        if found is None:
            raise jwt.InvalidTokenError("the token is not signed by a key of its issuer")
        return jwt.PyJWK(found)


ISSUERS = web.AppKey("issuers", TokenKeys)
"""Whose tokens are verified; without it, the doors of Entra and Google let everybody in."""


class Identity(Protocol):
    """What a stand-in demands of its callers."""

    def refusal(self, request: web.Request, body: bytes) -> web.Response | None:
        """Return the answer to a caller that is not accepted."""
        ...


class Everybody:
    def refusal(self, request: web.Request, body: bytes) -> web.Response | None:  # noqa: ARG002 - the protocol's own
        return None


class Bearer:
    """Demands the secret as a bearer token."""

    def refusal(self, request: web.Request, body: bytes) -> web.Response | None:  # noqa: ARG002 - as above
        if request.headers.get("authorization") == f"Bearer {SECRET}":
            return None
        return web.json_response({"error": "Invalid credentials in Authorization header"}, status=401)


@dataclass(frozen=True, slots=True)
class SecretHeaders:
    """Demands the secret in each of these headers."""

    names: tuple[str, ...]

    def refusal(self, request: web.Request, body: bytes) -> web.Response | None:  # noqa: ARG002 - as above
        if all(request.headers.get(name) == SECRET for name in self.names):
            return None
        return web.Response(text="modal-http: missing credentials for proxy authorization", status=401)


@dataclass(frozen=True, slots=True)
class Aws:
    """Demands a short-term key or a signature of a service; `keys` tells whether it takes keys."""

    service: str
    keys: bool = False

    def refusal(self, request: web.Request, body: bytes) -> web.Response | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            self.verify(request, headers, body)
        except (InvalidSignature, KeyError, ValueError) as problem:
            error = {"x-amzn-errortype": f"{problem}:http://internal.amazon.com/coral/"}
            return web.json_response({"message": "The security token is invalid."}, status=403, headers=error)
        return None

    def verify(self, request: web.Request, headers: Mapping[str, str], body: bytes) -> None:
        scope = Scope(service=self.service, region=REGION)
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and self.keys:
            verify_key(key, scope, now())
            return
        seen = SignedRequest(method=request.method, target=request.raw_path, headers=headers, body=body)
        verify_headers(seen, scope, now())


class Tokens:
    """Demands a token of an issuer, by its signature, audience, subject and expiry."""

    def refusal(self, request: web.Request, body: bytes) -> web.Response | None:  # noqa: ARG002 - as above
        keys = request.app.get(ISSUERS)
        if keys is None:
            return None
        given = request.headers.get("authorization", "")
        token = given[len(SCHEME) :] if given[: len(SCHEME)].lower() == SCHEME else ""
        try:
            self.verify(token, request, keys)
        except jwt.InvalidTokenError as problem:
            error = {"code": "401", "message": f"Unauthorized. {problem}"}
            return web.json_response({"error": error}, status=401)
        return None

    def verify(self, token: str, request: web.Request, keys: TokenKeys) -> None:
        """Raise InvalidTokenError for a token that is not accepted."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Entra(Tokens):
    """Demands a token of the app's managed identity for a resource."""

    resource: str

    def verify(self, token: str, request: web.Request, keys: TokenKeys) -> None:  # noqa: ARG002 - as above
        key = keys.entra_key(str(jwt.get_unverified_header(token).get("kid")))
        issuer = ENTRA_ISSUERS["1.0"].format(tenant=guid_of("tenant", TENANTS[0]))
        if decoded(token, key, self.resource, issuer)["sub"] != MANAGED_IDENTITY:
            raise jwt.InvalidTokenError("the identity has no role that permits this call")


class GoogleAccess(Tokens):
    """Demands an access token of the service account."""

    def verify(self, token: str, request: web.Request, keys: TokenKeys) -> None:  # noqa: ARG002 - as above
        if keys.google.subject_of(token, now()) != SERVICE_ACCOUNT:
            raise jwt.InvalidTokenError("the access token is not one of the service account")


class GoogleId(Tokens):
    """Demands an ID token of the service account for the address of the service."""

    def verify(self, token: str, request: web.Request, keys: TokenKeys) -> None:
        claims = decoded(token, keys.google.key.public_key(), f"http://{request.host}", GOOGLE_ISSUER)
        if claims.get("email") != SERVICE_ACCOUNT:
            raise jwt.InvalidTokenError("the caller does not hold roles/run.invoker")


def decoded(token: str, key: Any, audience: str, issuer: str) -> Mapping[str, Any]:
    required: Any = {"require": ["iss", "aud", "exp", "sub"]}
    return jwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=issuer, options=required)
