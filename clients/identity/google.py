"""How is an Entra token exchanged for a Google token, without a key?

google-auth exchanges the token and impersonates the service account. `RecordingTransport` sends its requests and
records the last hop, so that an error can name it. Import this module late: the import is slow.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, override

import httpx
from google.auth import identity_pool, jwt
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport import Request, Response

from clients.backends.credentials import BearerToken, Hop, hop_denied, hop_unreachable
from clients.identity.entra import ManagedIdentity
from clients.plain_answers import PLAIN, read_plain_now
from domain.identity.federation import Federation

logger = logging.getLogger("ganglion.credentials")

PLATFORM_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:jwt"  # noqa: S105 - the name of a type, no secret
TIMEOUT_S = 8.0
MOST_BYTES = 1_048_576
"""The size of an answer with a token."""

SUMMARY_CHARACTERS = 500
"""The length of a hop's answer in the log. Callers never see the answer: it contains names of the project."""

TOKEN_ERRORS = (GoogleAuthError, httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError)
"""The errors of google-auth for a rejection, no answer or a malformed answer."""


class AuthResponse(Response):
    def __init__(self, answer: httpx.Response, body: bytes) -> None:
        self.answer = answer
        self.body = body

    @property
    def status(self) -> int:
        return self.answer.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self.answer.headers

    @property
    def data(self) -> bytes:
        return self.body


class RecordingTransport(Request):
    """Sends the requests of one exchange and records the last hop and its answer."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.hop = Hop.STS
        self.last: AuthResponse | None = None

    @override
    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> AuthResponse:
        self.hop = Hop.IAM if "/serviceAccounts/" in url else Hop.STS
        self.last = None
        try:
            with self.http.stream(method, url, content=body, headers={**(headers or {}), **PLAIN}) as answer:
                self.last = AuthResponse(answer, read_plain_now(answer, most=MOST_BYTES))
        except httpx.HTTPError as error:
            raise TransportError(str(error)) from error
        return self.last

    def failure(self) -> Exception:
        """Return the error for the last request."""
        if self.last is None:
            return hop_unreachable(self.hop, "no answer")
        status = self.last.status
        logger.warning("%s answered %d: %s", self.hop, status, summary(self.last.data))
        return hop_denied(self.hop, status)


def seconds(moment: datetime) -> float:
    """Return seconds since the epoch for a time of google-auth, which is UTC without a time zone."""
    return moment.replace(tzinfo=UTC).timestamp()


def expiry_of(token: str) -> float:
    """Return the expiry time of an ID token that was just received from Google, in seconds since the epoch."""
    claims: Any = jwt.decode(token, verify=False)  # pyright: ignore[reportUnknownMemberType] - it has no types
    return float(claims["exp"])


def summary(data: bytes) -> str:
    text = data[:SUMMARY_CHARACTERS].decode(errors="replace")
    return "".join(sign if sign.isprintable() else " " for sign in text)


class EntraSupplier(identity_pool.SubjectTokenSupplier):
    def __init__(self, identity: ManagedIdentity, scope: str) -> None:
        self.identity = identity
        self.scope = scope

    @override
    def get_subject_token(self, context: Any, request: Any) -> str:
        return self.identity.token(self.scope).token


class GoogleTokens:
    """Fetches tokens of service accounts. Each call is a complete exchange; nothing is cached."""

    def __init__(self, federation: Federation, identity: ManagedIdentity) -> None:
        self.federation = federation
        self.identity = identity

    def access_token(self, scope: str, service_account: str) -> BearerToken:
        """Return an access token of a service account. Blocks; raises BackendError."""
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as http:
            transport = RecordingTransport(http)
            address = self.address(service_account, "generateAccessToken")
            account = self.federated(scopes=[scope], service_account_impersonation_url=address)
            try:
                account.refresh(transport)
                return BearerToken(token=account.token, expires_at=seconds(account.expiry))
            except TOKEN_ERRORS as error:
                raise transport.failure() from error

    def id_token(self, audience: str, service_account: str) -> BearerToken:
        """Return an ID token of a service account for an audience. Blocks; raises BackendError."""
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as http:
            transport = RecordingTransport(http)
            federated = self.federated(scopes=[PLATFORM_SCOPE])
            try:
                federated.refresh(transport)
                token = self.impersonated_id(transport, federated, audience, service_account)
                return BearerToken(token=token, expires_at=expiry_of(token))
            except TOKEN_ERRORS as error:
                raise transport.failure() from error

    def federated(self, **choices: Any) -> Any:
        """Return google-auth's federated credentials, whose methods have no types."""
        return identity_pool.Credentials(
            audience=self.federation.audience,
            subject_token_type=TOKEN_TYPE,
            token_url=f"{self.federation.sts_url}/v1/token",
            subject_token_supplier=EntraSupplier(self.identity, self.federation.scope or ""),
            **choices,
        )

    def impersonated_id(
        self, transport: RecordingTransport, federated: Any, audience: str, service_account: str
    ) -> str:
        """Return an ID token. google-auth's own class for it only supports Google's public address."""
        headers = {"content-type": "application/json"}
        federated.apply(headers)
        body = json.dumps({"audience": audience, "includeEmail": True}).encode()
        answer = transport(self.address(service_account, "generateIdToken"), "POST", body, headers)
        if answer.status != HTTPStatus.OK:
            raise transport.failure()
        return json.loads(answer.data)["token"]

    def address(self, service_account: str, action: str) -> str:
        return f"{self.federation.iam_url}/v1/projects/-/serviceAccounts/{service_account}:{action}"
