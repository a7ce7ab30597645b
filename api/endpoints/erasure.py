"""How does an owner have all that he ever said forgotten?"""

import re
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from clients.orchestrations import OpenOrchestrations
from domain.errors import NotFound
from domain.identity.owners import Owner
from state.retention.erasure import Erasure

ERASER = "Owners.Erase"
"""The app role with which an application has other owners of its tenant forgotten."""

MYSELF = "me"
NAMED = re.compile(r"(?P<kind>user|app)_(?P<id>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})")


class OwnerFunctions:
    """The HTTP function that erases owners. `client` is the durable client of the invocation."""

    def __init__(
        self, *, authenticator: Authenticator, erasure: Erasure, open_orchestrations: OpenOrchestrations
    ) -> None:
        self.authenticator = authenticator
        self.erasure = erasure
        self.open_orchestrations = open_orchestrations

    async def delete(self, req: Request, client: Any) -> Response:
        """`DELETE /v1/owners/{owner_id}`"""
        caller = await owner_of(req, self.authenticator)
        name = str(req.path_params["owner_id"])
        cancelled = await self.erasure.erase(named(caller, name))
        for response_id in cancelled:
            await self.open_orchestrations(client).signal_cancelled(response_id)
        return json_answer({"id": name, "object": "owner.deleted", "deleted": True})


def named(caller: Owner, name: str) -> Owner:
    """Return whom a caller means by `me`, `user_<object id>` or `app_<client id>`; raises NotFound.

    The digits of an id may be written large: in tokens they are small.
    """
    if name == MYSELF:
        return caller
    found = NAMED.fullmatch(name)
    if found is None or not erases_others(caller):
        raise NotFound(f"Owner with id '{name}' not found.")
    return Owner(tenant=caller.tenant, subject=f"{found['kind']}:{found['id'].lower()}")


def erases_others(caller: Owner) -> bool:
    return caller.subject.startswith("app:") and ERASER in caller.roles
