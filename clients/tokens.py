"""Is an access token genuine, and whose is it?"""

from collections.abc import Mapping
from pathlib import Path

from clients.clock import Clock
from clients.signing_keys import KeyFile
from domain.claims import Expected, Token, owner_from_claims, read_token
from domain.errors import Unauthenticated
from domain.owners import Owner


class LocalKeyAuthenticator:
    """Accepts tokens signed by the keys in a file, a JSON Web Key Set; nothing else, and no token twice by memory."""

    def __init__(self, *, keys: Path, audience: str, tenants: frozenset[str], clock: Clock) -> None:
        self.keys = KeyFile(keys)
        self.expected = Expected(audience=audience, tenants=tenants)
        self.clock = clock

    async def authenticate(self, token: str) -> Owner:
        """Return whose token it is.

        Raises Unauthenticated (not genuine, not for us, not now), Forbidden (lacks the permission) and Unavailable
        (the keys can't be read).
        """
        parts = read_token(token)
        key = self.keys.current().get(parts.key_id)
        if key is None or not is_genuine(parts, key):
            raise Unauthenticated("The access token is not signed by a key that we know.")
        return owner_from_claims(parts.claims, self.expected, now=self.clock.now())


def is_genuine(token: Token, key: Mapping[str, str]) -> bool:
    from jwt.algorithms import RSAAlgorithm  # noqa: PLC0415 - cryptography is slow to import and starts no app

    public = RSAAlgorithm.from_jwk(dict(key))
    return RSAAlgorithm(RSAAlgorithm.SHA256).verify(token.signed, public, token.signature)  # pyright: ignore[reportArgumentType] - a key without "d" is a public key
