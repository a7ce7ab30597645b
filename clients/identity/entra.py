"""How does the app's managed identity get a token from Microsoft Entra?

The SDK's own retries are off: the turn's retry policy decides. Import this module late: the import is slow.
"""

from typing import Any

from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineResponse
from azure.identity import ManagedIdentityCredential

from clients.backends.credentials import BearerToken, Hop, hop_denied, hop_unreachable

CONNECT_S = 4.0
ANSWER_S = 8.0
TOKEN_ERRORS = (AzureError, ValueError, KeyError, TypeError, AttributeError, OSError)
"""The errors of azure-identity and MSAL for a rejection, no answer or a malformed answer."""


class ManagedIdentity:
    """Fetches tokens for the app's managed identity; `client_id` selects a user-assigned one."""

    def __init__(self, *, client_id: str | None = None) -> None:
        self.client_id = client_id

    def token(self, scope: str) -> BearerToken:
        """Return a token for a scope like `api://…/.default`. Blocks; raises BackendError."""
        statuses: list[int] = []

        def record_status(response: PipelineResponse[Any, Any]) -> None:
            statuses.append(response.http_response.status_code)

        with ManagedIdentityCredential(
            client_id=self.client_id,
            retry_total=0,
            connection_timeout=CONNECT_S,
            read_timeout=ANSWER_S,
            raw_response_hook=record_status,
        ) as credential:
            try:
                found = credential.get_token(scope)
            except TOKEN_ERRORS as error:
                raise failure(statuses) from error
        return BearerToken(token=found.token, expires_at=found.expires_on)


def failure(statuses: list[int]) -> Exception:
    return hop_denied(Hop.IDENTITY, statuses[-1]) if statuses else hop_unreachable(Hop.IDENTITY, "no answer")
