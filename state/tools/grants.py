"""Where are the tokens with which a turn calls tools in its caller's name? Sealed, beside the turn, until it ends."""

from clients.backends.credentials import BearerToken
from clients.clock import Clock
from clients.sealing import Seal
from clients.storage.compare_and_swap import create_once
from clients.storage.keys import grant_id, grant_prefix, response_key
from clients.storage.paging import list_all, write_batches
from clients.storage.port import Create, Delete, DocumentStore
from domain.identity.owners import Owner
from domain.turns.response import Response

LAST_S = 30.0
"""A token is not used in this last part of its life: clocks differ, and a call takes time."""


class Grants:
    """Stores tokens, each bound to its turn and its server. They expire with the token."""

    def __init__(self, store: DocumentStore, seal: Seal, clock: Clock) -> None:
        self.store = store
        self.seal = seal
        self.clock = clock

    async def keep(self, owner: Owner, response_id: str, server: str, granted: BearerToken) -> None:
        """Store a token; a later one replaces it. Of two deliveries of a request at once, the first one's stays."""
        sealed = self.seal.sealed(granted.token, place=place_of(owner, response_id, server))
        body = {"kind": "grant", "v": 1, "sealed": sealed, "until": granted.expires_at}
        key, name = response_key(owner, response_id), grant_id(response_id, server)
        await self.store.commit(key, (Delete(id=name),))
        await create_once(self.store, key, Create(id=name, body=body, expires_at=granted.expires_at))

    async def token(self, response: Response, server: str) -> str:
        """Return the token of a turn for a server; an empty text where there is none any more."""
        key = response_key(response.owner, response.id)
        found = await self.store.read(key, grant_id(response.id, server))
        if found is None or self.clock.now() + LAST_S >= found.body["until"]:
            return ""
        return self.seal.opened(found.body["sealed"], place=place_of(response.owner, response.id, server)) or ""

    async def drop(self, response: Response) -> None:
        """Delete the tokens of a turn that has ended."""
        key = response_key(response.owner, response.id)
        found = await list_all(self.store, key, prefix=grant_prefix(response.id))
        await write_batches(self.store, key, [Delete(id=each.id) for each in found])


def place_of(owner: Owner, response_id: str, server: str) -> str:
    return f"{owner.tenant}\n{owner.subject}\n{response_id}\n{server}"
