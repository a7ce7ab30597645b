"""Where is the whole text of a result that was cut? Beside its turn, in parts, until the turn can read it no more."""

from typing import Final

from clients.storage.keys import response_key, whole_result_id
from clients.storage.paging import create_missing
from clients.storage.port import Create, DocumentStore
from domain.turns.response import Response

PART: Final = 100_000
"""The characters of one document."""

KEPT_S: Final = 3600
"""How long a result is kept after the turn's deadline, which moves with its waits for approvals."""


class WholeResults:
    """Stores results in parts, each in a document that is deleted with its turn, or expires soon after it."""

    def __init__(self, store: DocumentStore) -> None:
        self.store = store

    async def keep(self, response: Response, item_id: str, text: str) -> None:
        """Store the text of a call's result. Safe to repeat: what is stored first stays."""
        key, until = response_key(response.owner, response.id), response.latest_deadline_at + KEPT_S
        parts = [text[start : start + PART] for start in range(0, len(text), PART)]
        creates = [
            Create(
                id=whole_result_id(response.id, item_id, number),
                body={"kind": "whole_result", "v": 1, "text": part},
                expires_at=until,
            )
            for number, part in enumerate(parts)
        ]
        await create_missing(self.store, key, creates)

    async def read(self, response: Response, item_id: str, *, start: int, most: int) -> str:
        """Return at most `most` characters from `start` on; none where the result is not kept any more."""
        key, text = response_key(response.owner, response.id), ""
        for number in range(start // PART, (start + most - 1) // PART + 1):
            found = await self.store.read(key, whole_result_id(response.id, item_id, number))
            if found is None:
                break
            text += found.body["text"]
        begin = start % PART
        return text[begin : begin + most]
