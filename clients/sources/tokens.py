"""How does the app prove to a source who it is? By tokens of its managed identity."""

from clients.backends.credentials import BearerToken
from clients.backends.port import BackendError
from clients.clock import Clock
from clients.identity.token_cache import CachedCredential
from clients.sources.port import SourceError


class IdentityTokens:
    """One cached token a scope; `client_id` names a user-assigned identity."""

    def __init__(self, clock: Clock, *, client_id: str | None = None) -> None:
        self.clock = clock
        self.client_id = client_id
        self.held: dict[str, CachedCredential] = {}

    async def token(self, scope: str) -> str:
        if scope not in self.held:
            self.held[scope] = CachedCredential(lambda: self.fetch(scope), self.clock)
        try:
            return await self.held[scope].token()
        except BackendError as error:
            raise SourceError(f"there is no token for it: {error.failure.body}") from None

    def fetch(self, scope: str) -> BearerToken:
        from clients.identity.entra import ManagedIdentity  # noqa: PLC0415 - azure-identity takes its time to import

        return ManagedIdentity(client_id=self.client_id).token(scope)
