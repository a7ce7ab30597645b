"""May this caller invoke the service, by its Google ID token?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt

from standins.cloud_run.error_pages import FORBIDDEN, UNAUTHORIZED, ErrorPage

ISSUERS = ["https://accounts.google.com", "accounts.google.com"]
REQUIRED = ["iss", "aud", "exp", "iat", "sub"]
BEARER = "bearer "


class GoogleKeySet:
    """Google's public keys; fetches them again when a token names an unknown key."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.by_id: dict[str, jwt.PyJWK] = {}

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        if key_id not in self.by_id:
            await self.fetch()
        return self.by_id.get(key_id)

    async def fetch(self) -> None:
        async with aiohttp.ClientSession() as client, client.get(self.url) as answer:
            answer.raise_for_status()
            entries: dict[str, Any] = await answer.json()
        self.by_id = {str(key.key_id): key for key in jwt.PyJWKSet.from_dict(entries).keys}


@dataclass(slots=True, kw_only=True)
class InvokerCheck:
    """`invokers` are the e-mail addresses with roles/run.invoker; the service's clock is `ahead_s` seconds ahead."""

    keys: GoogleKeySet
    clock: Callable[[], float]
    invokers: frozenset[str] = frozenset()
    ahead_s: float = 0.0

    async def rejection(self, authorization: str | None, audience: str) -> tuple[ErrorPage, str] | None:
        """Gives the error page and the reason for the request log, or None for a permitted caller."""
        if authorization is None:
            return FORBIDDEN, "no token"
        if authorization[: len(BEARER)].lower() != BEARER:
            return UNAUTHORIZED, "no bearer token"
        try:
            claims = await self.claims(authorization[len(BEARER) :].strip(), audience)
        except (jwt.InvalidTokenError, aiohttp.ClientError) as problem:
            return UNAUTHORIZED, str(problem)
        if not claims.get("email_verified") or claims.get("email") not in self.invokers:
            return FORBIDDEN, f"{claims.get('email')} does not hold roles/run.invoker"
        return None

    async def claims(self, token: str, audience: str) -> dict[str, Any]:
        key = await self.keys.find(str(jwt.get_unverified_header(token).get("kid")))
        if key is None:
            raise jwt.InvalidTokenError("the token is not signed by a key of Google")
        claims = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=audience,
            issuer=ISSUERS,
            options={"require": REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
        if float(claims["exp"]) <= self.clock() + self.ahead_s:
            raise jwt.ExpiredSignatureError("the token has expired")
        return claims
