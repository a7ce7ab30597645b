"""What was decided about the GPU of a turn while its calls ran? Each decision is a document beside its turn."""

from collections.abc import Sequence

from clients.storage.damage import readable
from clients.storage.keys import pause_prefix, response_key
from clients.storage.paging import list_all
from clients.storage.port import Create, Delete, Document, DocumentStore, Replace
from domain.errors import NoResponse
from domain.identity.owners import Owner
from domain.ids import own_token
from domain.tools.pauses.pause_record import PauseRecord
from domain.turns.response import Response

MILLISECONDS = 1000


class TurnPauses:
    """Stores the decisions of each turn, and reads them in their order. They are cleared with their turn."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store

    async def write(self, owner: Owner, response_id: str, pause: PauseRecord, *, etag: str = "") -> str:
        """Store a decision, or what has become of it where an etag is given; return the new etag.

        Raises NoResponse for a new decision about a turn that has ended or was deleted, which leaves nothing.
        """
        identifier = pause_id(response_id, pause)
        body = pause.to_document()
        write = Replace(id=identifier, body=body, etag=etag) if etag else Create(id=identifier, body=body)
        [changed] = await self.store.commit(response_key(owner, response_id), (write,))
        if not etag:
            await self.check_turn(owner, response_id, identifier)
        return changed

    async def check_turn(self, owner: Owner, response_id: str, identifier: str) -> None:
        """Remove a decision whose turn is over: a turn ends before it is cleared, and nothing would clear it later."""
        key = response_key(owner, response_id)
        found = await self.store.read(key, response_id)
        if found is None or found.read_with_id(Response.from_document).status.is_terminal:
            await self.store.commit(key, (Delete(id=identifier),))
            raise NoResponse.by_id("Response", response_id)

    async def of_response(self, owner: Owner, response_id: str) -> Sequence[PauseRecord]:
        found = await list_all(self.store, response_key(owner, response_id), prefix=pause_prefix(response_id))
        return sorted(readable(found, pause_of), key=lambda each: each.at)


def pause_of(document: Document) -> PauseRecord:
    return document.read_as(PauseRecord.from_document)


def pause_id(response_id: str, pause: PauseRecord) -> str:
    """Return the id of a decision. A step that runs again after a crash decides anew, at another time."""
    return f"{pause_prefix(response_id)}{own_token(pause.calls[0])}_{int(pause.at * MILLISECONDS)}"
