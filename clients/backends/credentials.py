"""What must proving who we are be able to do?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from clients.backends.port import BackendError
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure, FailureKind


class Credentials(Protocol):
    """Proves who we are to backends."""

    async def header(self, backend: Backend) -> Mapping[str, str]:
        """Return the headers that a call to the backend must carry. A warm call asks nobody.

        Raises BackendError: CREDENTIALS_REFUSED where somebody must grant something first, CREDENTIALS_UNREACHABLE
        where it may work later. The failure's body says who refused, and what to grant.
        """
        ...

    def rejected(self, backend: Backend) -> None:
        """Forget what the backend did not accept, so that the next call brings something new."""
        ...


class NoCredentials:
    """Proves nothing."""

    async def header(self, backend: Backend) -> Mapping[str, str]:  # noqa: ARG002 - the port's own argument
        return {}

    def rejected(self, backend: Backend) -> None:
        """Nothing is held that could be forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerToken:
    """A bearer token and when it expires, in seconds since the epoch."""

    token: str = field(repr=False)
    expires_at: float


class Hop(StrEnum):
    """Who is asked on the way to a token."""

    IDENTITY = "the managed identity endpoint"
    STS = "Google STS"
    IAM = "Google IAM Credentials"


ADVICE = {
    Hop.IDENTITY: "assign a managed identity to the app, and let it have tokens for the resource that is asked for",
    Hop.STS: "let the workload identity provider accept the issuer, the audience and the subject of the Entra token",
    Hop.IAM: "grant roles/iam.workloadIdentityUser on the service account to the managed identity's principal",
}
WHAT = {
    Hop.IDENTITY: "a token",
    Hop.STS: "the Entra token",
    Hop.IAM: "to impersonate the service account",
}

REFUSALS = frozenset(range(400, 500)) - {408, 425, 429}
"""Statuses that say no; others say not now."""


def hop_denied(hop: Hop, status: int) -> BackendError:
    """Return the failure where a hop gave no token: a no, or an answer that may be another one later."""
    if status in REFUSALS:
        return BackendError(Failure(kind=FailureKind.CREDENTIALS_REFUSED, body=hop_failed(hop, status)))
    return hop_unreachable(hop, f"status {status}")


def hop_failed(hop: Hop, status: int) -> str:
    return f"{hop} refused {WHAT[hop]} (status {status}); {ADVICE[hop]}"


def hop_unreachable(hop: Hop, how: str) -> BackendError:
    """Return the failure where a hop did not answer as it should."""
    return BackendError(Failure(kind=FailureKind.CREDENTIALS_UNREACHABLE, body=f"{hop} can't be asked ({how})"))
