"""What is a conversation, and which response may run in it now?

A conversation's items are listed in entries, numbered from 0. One turn, or one request that adds items, writes one
entry. Entries never change: the id of a deleted item stays in its entry.
"""

from collections.abc import Mapping, Sequence
from copy import replace
from typing import Any, Final, Literal, Self

from msgspec import Struct, field

from domain.content.items import ItemKind
from domain.identity.owners import Owner
from domain.ids import Prefix

type Order = Literal["asc", "desc"]

PREFIXES: Final[Mapping[ItemKind, Prefix]] = {
    ItemKind.MESSAGE: "msg",
    ItemKind.FUNCTION_CALL: "fc",
    ItemKind.FUNCTION_OUTPUT: "fco",
    ItemKind.REASONING: "rs",
    ItemKind.MCP_TOOLS: "mcpl",
    ItemKind.MCP_CALL: "mcp",
    ItemKind.FILE_SEARCH: "fs",
    ItemKind.APPROVAL_REQUEST: "mcpr",
    ItemKind.APPROVAL_RESPONSE: "mcpa",
}


class Conversation(Struct, frozen=True, kw_only=True):
    """`running` is the response that holds the conversation's lock; `next_entry` is the number of the next entry.

    `waiting` are the responses that wait for the lock, in their order.

    `is_tainted`: a turn or an answer in it depends on results of servers that are not trusted, deleted ones included.
    `created_at` is in seconds since the epoch. `lasting` are the ids of the system and developer messages; it is None
    for a conversation of a release that stored none.
    """

    id: str
    owner: Owner
    created_at: float
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    next_entry: int = 0
    running: str | None = None
    lasting: tuple[str, ...] | None = ()
    waiting: tuple[str, ...] = ()
    is_tainted: bool = False

    def with_metadata(self, metadata: Mapping[str, str]) -> "Conversation":
        return replace(self, metadata=metadata)

    def is_free_for(self, response_id: str) -> bool:
        """Return whether a response may have the lock: none has it, and no other one is first in line."""
        return self.running is None and self.waiting[:1] in ((), (response_id,))

    def locked(self, response_id: str) -> "Conversation":
        return replace(self.without_waiting(response_id), running=response_id)

    def tainted(self, *, by: bool) -> "Conversation":
        return replace(self, is_tainted=self.is_tainted or by)

    def with_waiting(self, response_id: str) -> "Conversation":
        return replace(self, waiting=(*self.waiting, response_id))

    def without_waiting(self, response_id: str) -> "Conversation":
        return replace(self, waiting=tuple(name for name in self.waiting if name != response_id))

    def released(self) -> "Conversation":
        return replace(self, running=None)

    def with_new_entry(self, lasting: tuple[str, ...] | None) -> "Conversation":
        """Return the conversation with one more entry, whose lasting items are these."""
        all_lasting = None if self.lasting is None or lasting is None else self.lasting + lasting
        return replace(self, next_entry=self.next_entry + 1, lasting=all_lasting)

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": "conversation",
            "v": 1,
            "at": self.created_at,
            "tenant": self.owner.tenant,
            "subject": self.owner.subject,
            "metadata": dict(self.metadata),
            "next_entry": self.next_entry,
            "running": self.running,
            **({"waiting": list(self.waiting)} if self.waiting else {}),
            **({"tainted": True} if self.is_tainted else {}),
            "lasting": None if self.lasting is None else list(self.lasting),
        }

    @classmethod
    def from_document(cls, identifier: str, body: Mapping[str, Any]) -> Self:
        lasting = body.get("lasting")
        return cls(
            id=identifier,
            owner=Owner(tenant=body["tenant"], subject=body["subject"]),
            created_at=body["at"],
            metadata=body["metadata"],
            next_entry=body["next_entry"],
            running=body["running"],
            lasting=None if lasting is None else tuple(lasting),
            waiting=tuple(body.get("waiting", ())),
            is_tainted=body.get("tainted", False),
        )


def after_cursor(identifiers: Sequence[str], *, after: str, order: Order) -> Sequence[str] | None:
    """Return the ids after the cursor (empty: all ids) in this order; None where the cursor is not among them."""
    ordered = identifiers if order == "asc" else identifiers[::-1]
    if not after:
        return ordered
    return ordered[ordered.index(after) + 1 :] if after in ordered else None
