"""How does the app's managed identity get a token of Microsoft Entra?

The SDK's own retries are off: patience belongs to the turn. Import this module late, it takes its time.
"""

from typing import Any

from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineResponse
from azure.identity import ManagedIdentityCredential

from clients.backends.credentials import BearerToken, Hop, hop_denied, hop_unreachable

CONNECT_S = 4.0
ANSWER_S = 8.0
ODD = (AzureError, ValueError, KeyError, TypeError, AttributeError, OSError)
"""What azure-identity and MSAL raise for a refusal, no answer, or an answer that is not what it should be."""


class ManagedIdentity:
    """Gets tokens for the identity that the platform gave the app; `client_id` picks one of several."""

    def __init__(self, *, client_id: str | None = None) -> None:
        self.client_id = client_id

    def token(self, scope: str) -> BearerToken:
        """Return a token for a scope, as `api://…/.default`. Blocks; raises BackendError."""
        statuses: list[int] = []

        def note(response: PipelineResponse[Any, Any]) -> None:
            statuses.append(response.http_response.status_code)

        with ManagedIdentityCredential(
            client_id=self.client_id,
            retry_total=0,
            connection_timeout=CONNECT_S,
            read_timeout=ANSWER_S,
            raw_response_hook=note,
        ) as credential:
            try:
                found = credential.get_token(scope)
            except ODD as error:
                raise failure(statuses) from error
        return BearerToken(token=found.token, expires_at=found.expires_on)


def failure(statuses: list[int]) -> Exception:
    return hop_denied(Hop.IDENTITY, statuses[-1]) if statuses else hop_unreachable(Hop.IDENTITY, "no answer")
