"""How is all data of an owner deleted on request?"""

import re
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response

from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from clients.orchestrations import OpenOrchestrations
from domain.errors import NotFound
from domain.identity.owners import Owner
from domain.identity.roles import AppRole, has_role
from state.batches.batch_store import BatchStore
from state.batches.waiting_batches import timed_among
from state.retention.erasure import Erasure

CALLER = "me"
OWNER_ID = re.compile(r"(?P<kind>user|app)_(?P<id>[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})")


class OwnerFunctions:
    """The HTTP function that erases owners. `client` is the durable client of the invocation."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        erasure: Erasure,
        batches: BatchStore,
        open_orchestrations: OpenOrchestrations,
    ) -> None:
        self.authenticator = authenticator
        self.erasure = erasure
        self.batches = batches
        self.open_orchestrations = open_orchestrations

    async def delete(self, req: Request, client: Any) -> Response:
        """`DELETE /v1/owners/{owner_id}`"""
        caller = await owner_of(req, self.authenticator)
        name = str(req.path_params["owner_id"])
        owner, orchestrations = owner_named(caller, name), self.open_orchestrations(client)
        timed = await timed_among(self.batches, await self.batches.unended(owner))
        for response_id in await self.erasure.erase(owner):
            await orchestrations.signal_cancelled(response_id)
        for each in (each for each in timed if each.waits):
            await orchestrations.wake_batch(each.batch.id, each.start.looks)
        return json_answer({"id": name, "object": "owner.deleted", "deleted": True})


def owner_named(caller: Owner, name: str) -> Owner:
    """Return the owner that `me`, `user_<object id>` or `app_<client id>` names; raises NotFound.

    The hexadecimal digits of an id may be in upper case; tokens have them in lower case.
    """
    if name == CALLER:
        return caller
    found = OWNER_ID.fullmatch(name)
    if found is None or not may_erase_others(caller):
        raise NotFound.by_id("Owner", name)
    return Owner(tenant=caller.tenant, subject=f"{found['kind']}:{found['id'].lower()}")


def may_erase_others(caller: Owner) -> bool:
    return caller.subject.startswith("app:") and has_role(caller, AppRole.OWNERS_ERASE)
