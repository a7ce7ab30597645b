"""Who is calling?"""

import logging
import re
from typing import Protocol

from azurefunctions.extensions.http.fastapi import Request

from domain.errors import Forbidden, Unauthenticated
from domain.identity.owners import Owner

logger = logging.getLogger("ganglion.api")

BEARER = re.compile(r"bearer +(?P<token>[A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
PRINCIPAL = "x-ms-client-principal"


class Authenticator(Protocol):
    """Knows owners by their access tokens, and by what a platform in front of us says of them."""

    @property
    def behind_platform(self) -> bool:
        """Whether App Service Authentication stands in front: only then its headers are nobody else's."""
        ...

    async def authenticate(self, token: str) -> Owner:
        """Return whose token it is; raises Unauthenticated, Forbidden and Unavailable."""
        ...

    def owner_of_principal(self, principal: str) -> Owner:
        """Return whom the platform has signed in; raises Unauthenticated and Forbidden."""
        ...


def bearer_token(request: Request) -> str:
    """Return the access token that a request carries."""
    values = request.headers.getlist("authorization")
    found = BEARER.fullmatch(values[0].strip()) if len(values) == 1 else None
    if found is None:
        raise Unauthenticated("Send an access token in one header 'Authorization: Bearer …'.")
    return found["token"]


async def owner_of(request: Request, authenticator: Authenticator) -> Owner:
    """Return who calls; raises what `Authenticator.authenticate` raises, and logs why."""
    try:
        principals = request.headers.getlist(PRINCIPAL) if authenticator.behind_platform else []
        if principals:
            return authenticator.owner_of_principal(only(principals))
        return await authenticator.authenticate(bearer_token(request))
    except (Unauthenticated, Forbidden) as refusal:
        logger.warning("A caller was refused (%s): %s", type(refusal).__name__, refusal)
        raise


def only(principals: list[str]) -> str:
    if len(principals) > 1:
        raise Unauthenticated("The platform names more than one caller.")
    return principals[0]
