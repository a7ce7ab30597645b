"""What is known of a file, and which id has it?"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, Self

from msgspec import Struct

from domain.identity.owners import Owner

PURPOSES: Final = ("batch", "user_data")
"""The purposes that an upload may name."""

BATCH_OUTPUT: Final = "batch_output"
"""The purpose of the files that a batch writes. No upload may name it."""

LISTED_PURPOSES: Final = (*PURPOSES, BATCH_OUTPUT)

BATCH_FILE_S: Final = 30 * 86_400.0
"""A batch file without `expires_after` is kept for so many seconds, as OpenAI's reference of `/v1/files` says."""


class StoredFile(Struct, frozen=True, kw_only=True):
    """A complete file: `size` bytes with the SHA-256 `digest`, in the parts of the partition `thread`.

    Times are seconds since the epoch; `expires_at` is None for a file that is kept until it is deleted. The content is
    in the document store, or `outside` it.
    """

    id: str
    thread: str
    filename: str
    purpose: str
    size: int
    digest: str
    created_at: float
    expires_at: float | None = None
    outside: bool = False

    def is_kept(self, now: float) -> bool:
        return self.expires_at is None or now < self.expires_at

    def to_document(self) -> dict[str, Any]:
        """Return the stored form; `at` lets an owner's erasure tell what was there before it."""
        described = {
            "kind": "file",
            "v": 1,
            "at": self.created_at,
            "file": self.id,
            "thread": self.thread,
            "filename": self.filename,
            "purpose": self.purpose,
            "size": self.size,
            "digest": self.digest,
            "expires_at": self.expires_at,
        }
        return described | ({"outside": True} if self.outside else {})

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            id=body["file"],
            thread=body["thread"],
            filename=body["filename"],
            purpose=body["purpose"],
            size=body["size"],
            digest=body["digest"],
            created_at=body["at"],
            expires_at=body["expires_at"],
            outside=body.get("outside", False),
        )


def file_id(owner: Owner, *, purpose: str, filename: str, digest: str) -> str:
    """Return the id of a file: the same owner, purpose, name and content have the same id."""
    identity = json.dumps([owner.tenant, owner.subject, purpose, filename, digest])
    return f"file-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
