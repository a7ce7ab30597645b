"""Which interface provides the credentials of backend calls, and which failures may it report?"""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Protocol

from msgspec import Struct

from clients.backends.port import BackendError
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure, FailureKind
from domain.values import Discreet


class HttpCall(Struct, frozen=True, kw_only=True):
    """The request that credentials are for, as it is sent: a signature covers all of it."""

    method: str
    url: str
    body: bytes = b""


class Credentials(Protocol):
    """Provides the credentials for calls to backends."""

    async def header(self, backend: Backend, call: HttpCall) -> Mapping[str, str]:
        """Return the authentication headers of a call to the backend, from a cache where possible.

        Raises BackendError: CREDENTIALS_REFUSED where a permission is missing, CREDENTIALS_UNREACHABLE where a retry
        may succeed. The failure's body names the service that rejected the request and the permission to grant.
        """
        ...

    def rejected(self, backend: Backend) -> None:
        """Drop cached credentials that the backend rejected, so that the next call fetches new ones."""
        ...


class NoCredentials:
    """Sends no credentials."""

    async def header(self, backend: Backend, call: HttpCall) -> Mapping[str, str]:  # noqa: ARG002 - the port's own
        return {}

    def rejected(self, backend: Backend) -> None:
        """Do nothing: there are no cached credentials."""


class BearerToken(Discreet, frozen=True, kw_only=True):
    """A bearer token and the time when it expires, in seconds since the epoch."""

    concealed: ClassVar = ("token",)

    token: str
    expires_at: float


class Hop(StrEnum):
    """A service that takes part in obtaining a token."""

    IDENTITY = "the managed identity endpoint"
    STS = "Google STS"
    AWS_STS = "AWS STS"
    IAM = "Google IAM Credentials"


ADVICE = {
    Hop.IDENTITY: "assign a managed identity to the app, and allow it to obtain tokens for the requested resource",
    Hop.STS: "configure the workload identity provider to accept the issuer, audience and subject of the Entra token",
    Hop.AWS_STS: "let the role's trust policy name the OIDC provider of the Entra tenant, and the token's aud and sub",
    Hop.IAM: "grant roles/iam.workloadIdentityUser on the service account to the managed identity's principal",
}
REQUESTED = {
    Hop.IDENTITY: "a token",
    Hop.STS: "the Entra token",
    Hop.AWS_STS: "to let the app assume the role",
    Hop.IAM: "to impersonate the service account",
}

REJECTION_STATUSES = frozenset(range(400, 500)) - {408, 425, 429}
"""Statuses that reject the request for good; after any other status a retry may succeed."""


def hop_denied(hop: Hop, status: int) -> BackendError:
    """Return the failure for a hop that answered with an error status: a rejection, or one that may pass."""
    if status in REJECTION_STATUSES:
        return BackendError(Failure(kind=FailureKind.CREDENTIALS_REFUSED, body=hop_failed(hop, status)))
    return hop_unreachable(hop, f"status {status}")


def hop_failed(hop: Hop, status: int) -> str:
    return f"{hop} refused {REQUESTED[hop]} (status {status}); {ADVICE[hop]}"


def hop_unreachable(hop: Hop, detail: str) -> BackendError:
    """Return the failure for a hop that did not answer, or whose answer was unusable."""
    return BackendError(Failure(kind=FailureKind.CREDENTIALS_UNREACHABLE, body=f"{hop} is not available ({detail})"))
