"""How does a turn find the earlier turns that its model reads, without reading the whole conversation?

Ids start with their creation time, so consecutive turns are neighbours in the store. A chain of turns is divided into
blocks, and each turn stores the id of the response that begins the block of its predecessor.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

from msgspec import Struct

from domain.content.items import Item
from domain.turns.context_window import is_lasting

BLOCK: Final = 64


class HistoryIndex(Struct, frozen=True, kw_only=True):
    """`depth` is the number of earlier turns; `anchor` is the response that begins the predecessor's block.

    `lasting` are the ids of all system and developer messages up to this turn's input. The model reads them however old
    they are.
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
