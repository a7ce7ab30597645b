"""How does the app get a token that has the rights of its caller, by OAuth's On-Behalf-Of flow?

The app proves itself by a token of its managed identity, which is a federated credential of its registration
(https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow).
"""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

import httpx

from clients.backends.credentials import BearerToken
from clients.clock import Clock
from clients.plain_answers import PLAIN, read_plain
from clients.sources.port import SourceError, SourceTokens
from domain.errors import Terminal, Unavailable
from domain.identity.owners import Owner

EXCHANGE_SCOPE: Final = "api://AzureADTokenExchange/.default"
"""The resource for which the managed identity's token is issued: federated credentials expect it."""

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TIMEOUT_S: Final = 8.0
SIZE_LIMIT: Final = 65_536
OK: Final = 200
RETRY_S: Final = 5.0
BAD_REQUEST: Final = frozenset({400, 401, 403})
ERROR_NUMBER: Final = re.compile(r"AADSTS\d{4,8}")


class ExchangeRefused(Terminal):
    """Entra gives no token for this caller; the message has Entra's number of the reason, and nothing of a token."""


class TokenExchange(Protocol):
    """Exchanges callers' tokens."""

    async def exchange(self, owner: Owner, assertion: str, scope: str) -> BearerToken:
        """Return a token of the owner for a scope. Raises ExchangeRefused and Unavailable."""
        ...


class OnBehalfOf:
    """Exchanges tokens at Entra. It keeps no token and no connection; `transport` answers in the place of the network.

    `authority` is an origin, `client_id` the id of the app's registration, for which the caller's token was issued.
    """

    def __init__(
        self,
        *,
        authority: str,
        client_id: str,
        identity: SourceTokens,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.authority = authority
        self.client_id = client_id
        self.identity = identity
        self.clock = clock
        self.transport = transport

    async def exchange(self, owner: Owner, assertion: str, scope: str) -> BearerToken:
        form = await self.form(assertion, scope)
        address = f"{self.authority}/{owner.tenant}/oauth2/v2.0/token"
        try:
            async with asyncio.timeout(TIMEOUT_S), self.client() as http:
                status, answer = await post(http, address, form)
        except (httpx.HTTPError, TimeoutError):
            raise Unavailable("Microsoft Entra did not answer. Try again.", delay_s=RETRY_S) from None
        return self.token_of(status, answer)

    async def form(self, assertion: str, scope: str) -> dict[str, str]:
        try:
            proof = await self.identity.token(EXCHANGE_SCOPE)
        except SourceError as error:
            raise Unavailable(f"The app could not authenticate: {error}.", delay_s=RETRY_S) from None
        return {
            "grant_type": JWT_BEARER,
            "requested_token_use": "on_behalf_of",
            "client_id": self.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": proof,
            "assertion": assertion,
            "scope": scope,
        }

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(trust_env=False, follow_redirects=False, headers=dict(PLAIN), transport=self.transport)

    def token_of(self, status: int, answer: Mapping[str, Any]) -> BearerToken:
        """Return the token of an answer. `invalid_grant` and its like are refusals; anything else may pass."""
        token, lifetime = answer.get("access_token"), answer.get("expires_in")
        if status == OK and isinstance(token, str) and isinstance(lifetime, int | float):
            return BearerToken(token=token, expires_at=self.clock.now() + lifetime)
        if status in BAD_REQUEST and isinstance(answer.get("error"), str):
            raise ExchangeRefused(reason_of(answer))
        raise Unavailable("Microsoft Entra gave no usable answer. Try again.", delay_s=RETRY_S)


async def post(http: httpx.AsyncClient, address: str, form: Mapping[str, str]) -> tuple[int, Mapping[str, Any]]:
    async with http.stream("POST", address, data=form) as found:
        return found.status_code, json_object(await read_plain(found, most=SIZE_LIMIT))


def reason_of(answer: Mapping[str, Any]) -> str:
    """Return Entra's code and number of a refusal; its description can name people, so it is left out."""
    number = ERROR_NUMBER.search(str(answer.get("error_description", "")))
    code = re.sub(r"[^a-z_]", "", str(answer["error"]))[:40]
    return f"{code} ({number[0]})" if number else code


def json_object(data: bytes) -> Mapping[str, Any]:
    try:
        body: Any = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", body) if isinstance(body, dict) else {}
