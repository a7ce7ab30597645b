"""How does a turn use the cache of answers?"""

from collections.abc import Mapping
from typing import Any, Final, Self

from msgspec import Struct

TAKEN_OVER: Final = "cached"
"""The code of a turn that ended with the answer of another one; the step that ends turns keeps that ending."""


class CacheUse(Struct, frozen=True, kw_only=True):
    """A turn's use of the cache: its key, how many seconds old its answer may be, and the turn that answered first."""

    key: str
    max_age_s: float
    first: str = ""

    def to_document(self) -> dict[str, Any]:
        return {"key": self.key, "max_age_s": self.max_age_s, "first": self.first}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(key=body["key"], max_age_s=body["max_age_s"], first=body["first"])
