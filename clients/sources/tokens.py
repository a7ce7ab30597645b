"""How does the app authenticate to a source? By tokens of its managed identity."""

from clients.backends.credentials import BearerToken
from clients.backends.port import BackendError
from clients.clock import Clock
from clients.identity.token_cache import CachedCredential
from clients.sources.port import SourceError


class IdentityTokens:
    """Caches one token per scope; `client_id` names a user-assigned identity."""

    def __init__(self, clock: Clock, *, client_id: str | None = None) -> None:
        self.clock = clock
        self.client_id = client_id
        self.credentials: dict[str, CachedCredential] = {}

    async def token(self, scope: str) -> str:
        if scope not in self.credentials:
            self.credentials[scope] = CachedCredential(lambda: self.fetch(scope), self.clock)
        try:
            return await self.credentials[scope].token()
        except BackendError as error:
            raise SourceError(f"no access token for it: {error.failure.body}") from None

    def fetch(self, scope: str) -> BearerToken:
        from clients.identity.entra import ManagedIdentity  # noqa: PLC0415 - azure-identity is slow to import

        return ManagedIdentity(client_id=self.client_id).token(scope)
