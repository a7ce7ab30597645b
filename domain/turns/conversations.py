"""What is a conversation beside its items, and whose turn is it?

A conversation's items stand in entries, numbered from 0: each is what one turn, or one request that added items, put
into it. Entries are never changed; an item that is deleted stays named in its entry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Self

from domain.content.items import ItemKind
from domain.identity.owners import Owner
from domain.ids import Prefix

type Order = Literal["asc", "desc"]

PREFIXES: Final[Mapping[ItemKind, Prefix]] = {
    ItemKind.MESSAGE: "msg",
    ItemKind.FUNCTION_CALL: "fc",
    ItemKind.FUNCTION_OUTPUT: "fco",
    ItemKind.REASONING: "rs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """`running` is the one response that may be under way; `next_entry` numbers what is added next.

    `created_at` is in seconds since the epoch. `lasting` are the ids of what the system and the developer have said; a
    conversation of a release that kept none has None.
    """

    id: str
    owner: Owner
    created_at: float
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    next_entry: int = 0
    running: str | None = None
    lasting: tuple[str, ...] | None = ()

    def changed(self, metadata: Mapping[str, str]) -> "Conversation":
        return replace(self, metadata=metadata)

    def locked(self, response_id: str) -> "Conversation":
        return replace(self, running=response_id)

    def released(self) -> "Conversation":
        return replace(self, running=None)

    def grown(self, lasting: tuple[str, ...] | None) -> "Conversation":
        """Return it with one more entry, in which these items last."""
        known = None if self.lasting is None or lasting is None else self.lasting + lasting
        return replace(self, next_entry=self.next_entry + 1, lasting=known)

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
        )


def after_cursor(identifiers: Sequence[str], *, after: str, order: Order) -> Sequence[str] | None:
    """Return the ids that follow the cursor (empty: all of them), in that order; None where no id is the cursor."""
    ordered = identifiers if order == "asc" else identifiers[::-1]
    if not after:
        return ordered
    return ordered[ordered.index(after) + 1 :] if after in ordered else None
