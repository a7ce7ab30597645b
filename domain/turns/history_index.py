"""How does a turn find those before it that its model still reads, without reading all of them?

Ids begin with the time at which they were made, so that turns that follow each other lie together. A chain is cut into
blocks of so many turns, and each turn knows where the block of its predecessor begins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from domain.content.items import Item
from domain.turns.context_window import is_lasting

BLOCK: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryIndex:
    """`depth` is the number of turns before; `anchor` the response that begins the block of the predecessor.

    `lasting` are the ids of what the system and the developer have said so far, this turn's input included: it is read
    however old it is.
    """

    depth: int
    anchor: str = ""
    lasting: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        return {"depth": self.depth, "anchor": self.anchor, "lasting": list(self.lasting)}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(depth=body["depth"], anchor=body["anchor"], lasting=tuple(body["lasting"]))

    def begins_block(self) -> bool:
        return self.depth % BLOCK == 0


def lasting_in(items: Sequence[Item]) -> tuple[str, ...]:
    return tuple(item.id for item in items if is_lasting(item))
