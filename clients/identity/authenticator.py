"""Is an access token genuine, and whose is it?"""

from clients.clock import Clock
from clients.identity.signing_keys import SigningKeys, is_signed
from domain.errors import Unauthenticated
from domain.identity.access_tokens import AcceptedTokens, issuer_of, owner_from_claims, read_token
from domain.identity.owners import Owner
from domain.identity.platform_principal import claims_from_principal


class TokenAuthenticator:
    """Accepts tokens that an issuer of an allowed tenant has signed; nothing else, and no token twice by memory.

    `behind_platform`: everything that reaches us has passed App Service Authentication, which is then believed.
    """

    def __init__(
        self, *, keys: SigningKeys, expected: AcceptedTokens, clock: Clock, behind_platform: bool = False
    ) -> None:
        self.keys = keys
        self.expected = expected
        self.clock = clock
        self.behind_platform = behind_platform

    async def authenticate(self, token: str) -> Owner:
        """Return whose token it is.

        Raises Unauthenticated (not genuine, not for us, not now), Forbidden (lacks the permission) and Unavailable
        (nobody can say which keys count).
        """
        parts = read_token(token)
        key = await self.keys.find(issuer_of(parts.claims, self.expected), parts.key_id)
        if key is None or not is_signed(parts.signed, parts.signature, key):
            raise Unauthenticated("The access token is not signed by a key that we know.")
        return owner_from_claims(parts.claims, self.expected, now=self.clock.now())

    def owner_of_principal(self, principal: str) -> Owner:
        """Return whom the platform has signed in, held to the same rules as a token; raises as `authenticate`."""
        return owner_from_claims(claims_from_principal(principal), self.expected, now=self.clock.now())
