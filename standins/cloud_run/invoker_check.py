"""May this caller invoke the service? Its Google ID token says."""

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
    """Google's public keys, fetched again when a token names one that is not among them."""

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
    """`invokers` are the e-mails of who holds roles/run.invoker; `ahead_s` is how wrong the service's clock goes."""

    keys: GoogleKeySet
    clock: Callable[[], float]
    invokers: frozenset[str] = frozenset()
    ahead_s: float = 0.0

    async def rejection(self, authorization: str | None, audience: str) -> tuple[ErrorPage, str] | None:
        """Gives the page that refuses, with the reason for our own record, or None for a caller who may."""
        if authorization is None:
            return FORBIDDEN, "no token"
        if authorization[: len(BEARER)].lower() != BEARER:
            return UNAUTHORIZED, "no bearer token"
        try:
            claims = await self.claims(authorization[len(BEARER) :].strip(), audience)
        except (jwt.InvalidTokenError, aiohttp.ClientError) as problem:
            return UNAUTHORIZED, str(problem)
        if not claims.get("email_verified") or claims.get("email") not in self.invokers:
            return FORBIDDEN, f"{claims.get('email')} lacks roles/run.invoker"
        return None

    async def claims(self, token: str, audience: str) -> dict[str, Any]:
        key = await self.keys.find(str(jwt.get_unverified_header(token).get("kid")))
        if key is None:
            raise jwt.InvalidTokenError("signed by no key of Google's")
        given = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            audience=audience,
            issuer=ISSUERS,
            options={"require": REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
        if float(given["exp"]) <= self.clock() + self.ahead_s:
            raise jwt.ExpiredSignatureError("the token has expired")
        return given
