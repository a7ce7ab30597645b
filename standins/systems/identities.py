"""Does a front door accept the identity of its caller?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from standins.clock import now
from standins.issuer.aws_signatures import InvalidSignature, Scope, SignedRequest, verify_headers, verify_key

SECRET = "the-secret-of-the-caller"  # noqa: S105 - it opens stand-ins only
REGION = "us-east-1"


class Identity(Protocol):
    """What a front door demands of its callers."""

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
