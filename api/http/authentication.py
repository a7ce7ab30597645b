"""Which owner does a request authenticate as?"""

import logging
import re
from typing import Protocol

from azurefunctions.extensions.http.fastapi import Request

from domain.errors import Forbidden, Unauthenticated
from domain.identity.owners import Owner
from domain.identity.roles import AppRole, has_role

logger = logging.getLogger("ganglion.api")

BEARER = re.compile(r"bearer +(?P<token>[A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
APPLICATION = "app:"
PRINCIPAL = "x-ms-client-principal"
KEY_HEADERS = ("api-key", "x-api-key")
NO_KEYS = (
    "The header '{name}' was sent, but this service has no API keys. Send an access token as 'Authorization: "
    "Bearer …'; with the client AzureOpenAI, set azure_ad_token or azure_ad_token_provider instead of api_key."
)


class Authenticator(Protocol):
    """Authenticates callers by access tokens, or by the principal that the platform has authenticated."""

    @property
    def behind_platform(self) -> bool:
        """Whether App Service Authentication is enabled: only then can callers not set its headers themselves."""
        ...

    async def authenticate(self, token: str) -> Owner:
        """Return the owner of an access token; raises Unauthenticated, Forbidden and Unavailable."""
        ...

    def owner_of_principal(self, principal: str) -> Owner:
        """Return the owner of the platform's principal; raises Unauthenticated and Forbidden."""
        ...


def bearer_token(request: Request) -> str:
    """Return the access token of a request; raises Unauthenticated where there is not exactly one."""
    values = request.headers.getlist("authorization")
    if not values and (name := next((each for each in KEY_HEADERS if each in request.headers), None)):
        raise Unauthenticated(NO_KEYS.format(name=name))
    match = BEARER.fullmatch(values[0].strip()) if len(values) == 1 else None
    if match is None:
        raise Unauthenticated("Missing access token. Send it in one header 'Authorization: Bearer …'.")
    return match["token"]


def presented_token(request: Request) -> str:
    """Return the access token that a request of a known caller has; an empty text where the platform has taken it."""
    match = BEARER.fullmatch(request.headers.get("authorization", "").strip())
    return match["token"] if match else ""


async def owner_of(request: Request, authenticator: Authenticator) -> Owner:
    """Return the caller; raises what `caller_of` raises, and Forbidden for an application that only sends events."""
    owner = await caller_of(request, authenticator)
    is_sender = has_role(owner, AppRole.EVENTS_SEND) and not has_role(owner, AppRole.TURNS)
    if is_sender and owner.subject.startswith(APPLICATION):
        raise Forbidden(f"The application needs the role {AppRole.TURNS}. Ask an administrator to assign it.")
    return owner


async def caller_of(request: Request, authenticator: Authenticator) -> Owner:
    """Return the caller, who may only send events; raises what `Authenticator.authenticate` raises, and logs it."""
    try:
        principals = request.headers.getlist(PRINCIPAL) if authenticator.behind_platform else []
        if principals:
            return authenticator.owner_of_principal(single(principals))
        return await authenticator.authenticate(bearer_token(request))
    except (Unauthenticated, Forbidden) as error:
        logger.warning("A request was rejected (%s): %s", type(error).__name__, error)
        raise


def single(principals: list[str]) -> str:
    if len(principals) > 1:
        raise Unauthenticated(f"More than one header '{PRINCIPAL}'; expected one.")
    return principals[0]
