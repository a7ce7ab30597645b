"""Who is calling?"""

import re
from typing import Protocol

from azurefunctions.extensions.http.fastapi import Request

from domain.errors import Unauthenticated
from domain.owners import Owner

BEARER = re.compile(r"bearer +(?P<token>[A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


class Authenticator(Protocol):
    """Knows owners by their access tokens."""

    async def authenticate(self, token: str) -> Owner:
        """Return whose token it is; raises Unauthenticated, Forbidden and Unavailable."""
        ...


def bearer_token(request: Request) -> str:
    """Return the access token that a request carries; no other header says who calls."""
    values = request.headers.getlist("authorization")
    found = BEARER.fullmatch(values[0].strip()) if len(values) == 1 else None
    if found is None:
        raise Unauthenticated("Send an access token in one header 'Authorization: Bearer …'.")
    return found["token"]


async def owner_of(request: Request, authenticator: Authenticator) -> Owner:
    """Return who calls; raises what `Authenticator.authenticate` raises."""
    return await authenticator.authenticate(bearer_token(request))
