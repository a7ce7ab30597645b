"""Is an access token valid, and who is its owner?"""

from clients.clock import Clock
from clients.identity.signing_keys import SigningKeys, is_signed
from domain.errors import Unauthenticated
from domain.identity.access_tokens import AcceptedTokens, issuer_of, owner_from_claims, read_token
from domain.identity.owners import Owner
from domain.identity.platform_principal import claims_from_principal


class TokenAuthenticator:
    """Accepts tokens that the issuer of an allowed tenant has signed. No result is cached.

    `behind_platform`: App Service Authentication checks every request first, so its principal header is trusted.
    """

    def __init__(
        self, *, keys: SigningKeys, expected: AcceptedTokens, clock: Clock, behind_platform: bool = False
    ) -> None:
        self.keys = keys
        self.expected = expected
        self.clock = clock
        self.behind_platform = behind_platform

    async def authenticate(self, token: str) -> Owner:
        """Return the owner of a token.

        Raises Unauthenticated (wrong signature, audience, tenant or time), Forbidden (missing permission) and
        Unavailable (the signing keys cannot be fetched).
        """
        parts = read_token(token)
        key = await self.keys.find(issuer_of(parts.claims, self.expected), parts.key_id)
        if key is None or not is_signed(parts.signed, parts.signature, key):
            raise Unauthenticated("The access token is not signed by a known key of its issuer.")
        return owner_from_claims(parts.claims, self.expected, now=self.clock.now())

    def owner_of_principal(self, principal: str) -> Owner:
        """Return the owner that the platform signed in, by the rules for tokens. Raises like `authenticate`."""
        return owner_from_claims(claims_from_principal(principal), self.expected, now=self.clock.now())
