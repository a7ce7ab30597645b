"""How does a turn use the cache of answers?"""

from collections.abc import Mapping
from typing import Any, Final, Self

from msgspec import Struct

TAKEN_OVER: Final = "cached"
"""The code of a turn that ended with the answer of another one; the step that ends turns keeps that ending."""


LEASE_S: Final = 60.0
"""A turn that answers for others loses them where no process has shown for so long that it works on the turn."""

SIGN_OF_LIFE_S: Final = 20.0
"""How often the log of such a turn shows that an attempt runs which gets no answer yet."""


class CacheUse(Struct, frozen=True, kw_only=True):
    """A turn's use of the cache: its key, how many seconds old its answer may be, and the turn that answered first.

    `follows` is the turn whose answer it waited for when it was admitted; that is not stored.
    """

    key: str
    max_age_s: float
    first: str = ""
    follows: str = ""

    def to_document(self) -> dict[str, Any]:
        return {"key": self.key, "max_age_s": self.max_age_s, "first": self.first}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(key=body["key"], max_age_s=body["max_age_s"], first=body["first"])
