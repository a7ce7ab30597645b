"""How long does the validation of an access token take with cached keys, and does it fetch keys again?

`python -m benches.tokens [TOKENS]`: microseconds. Every token is new, because no validation result is cached.
"""

import asyncio
import time

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import RSAAlgorithm

from benches.command_line import chosen_number
from benches.tables import percentile, print_table
from clients.clock import SystemClock
from clients.identity.authenticator import TokenAuthenticator
from clients.identity.jwks_cache import JwksCache
from clients.identity.signing_keys import KeySet, usable_keys
from domain.identity.access_tokens import AcceptedTokens, TokenIssuer

TOKENS = 2000
LIMIT_US = 300
TENANT = "11111111-1111-1111-1111-111111111111"
OID = "22222222-2222-2222-2222-222222222222"
CLIENT = "33333333-3333-3333-3333-333333333333"
AUDIENCE = "44444444-4444-4444-4444-444444444444"


class CountingIssuer:
    """Publishes one key and counts its fetches."""

    def __init__(self, bits: int) -> None:
        self.key = generate_private_key(65_537, bits)
        self.fetches = 0

    async def keys(self, origin: TokenIssuer) -> KeySet:
        self.fetches += 1
        await asyncio.sleep(0)
        shown = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return usable_keys({"keys": [{**shown, "use": "sig", "kid": "one"}]}, origin)

    def token(self, number: int, now: float) -> str:
        """Sign a token of about the size of Entra's."""
        claims = {
            "ver": "2.0",
            "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "aud": AUDIENCE,
            "tid": TENANT,
            "oid": OID,
            "azp": CLIENT,
            "scp": "access_as_user",
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now) + 3600,
            "uti": f"token {number}",
            "filler": "x" * 700,
        }
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": "one"})


async def measure(bits: int, tokens: int) -> list[float]:
    """Return the microseconds of each validation."""
    clock, issuer = SystemClock(), CountingIssuer(bits)
    expected = AcceptedTokens(audience=AUDIENCE, tenants=frozenset({TENANT}))
    judge = TokenAuthenticator(keys=JwksCache(issuer.keys, clock), expected=expected, clock=clock)
    texts = [issuer.token(number, clock.now()) for number in range(tokens)]
    await judge.authenticate(texts[0])
    times: list[float] = []
    for text in texts:
        start = time.perf_counter()
        owner = await judge.authenticate(text)
        times.append((time.perf_counter() - start) * 1_000_000)
        assert owner.subject == f"user:{OID}"
    assert issuer.fetches == 1
    return times


def main() -> None:
    tokens = chosen_number(TOKENS, "tokens")
    rows: list[tuple[str, ...]] = []
    for bits in (2048, 4096):
        times = asyncio.run(measure(bits, tokens))
        rows.append((f"RSA {bits}", *(f"{percentile(times, share):.0f}" for share in (0.5, 0.95)), str(LIMIT_US)))
    print_table(("validating a token", "median µs", "p95 µs", "limit"), rows)


if __name__ == "__main__":
    main()
