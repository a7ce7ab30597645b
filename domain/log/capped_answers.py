"""What happens to an answer that has reached the output which its attempt reserved?

A text is continued where the backend can do that, and stays cut elsewhere: the beginning of a text is of use. A part of
a function call, of JSON or of reasoning is not, so the answer is asked again with more room.
"""

from typing import NamedTuple, Self, TypedDict

from msgspec import Struct


class CappedWire(TypedDict):
    """A `CappedAnswer` between the steps of a turn, and in the log."""

    backend: str
    written: int
    tried: int


class CappedAnswer(NamedTuple):
    """An answer that reached its cap at `backend`.

    `written` tokens of it are continued. `tried` is the reservation that was too small for an answer that is asked
    again; 0 where it is continued.
    """

    backend: str
    written: int
    tried: int = 0

    def to_wire(self) -> CappedWire:
        return {"backend": self.backend, "written": self.written, "tried": self.tried}

    @classmethod
    def from_wire(cls, wire: CappedWire) -> Self:
        return cls(backend=wire["backend"], written=wire["written"], tried=wire["tried"])


class CutAnswer(Struct, frozen=True, kw_only=True):
    """An answer that was cut at its attempt's reservation of `reserved` tokens.

    `shown` counts the tokens of its text in the log. `is_calling`: the model has begun to call functions. `is_json`:
    the answer has to be JSON. `continues`: the backend can continue a text.
    """

    backend: str
    reserved: int
    shown: int
    has_text: bool
    is_calling: bool
    is_json: bool
    continues: bool

    def next(self) -> CappedAnswer | None:
        """Return how the answer goes on; None where it stays as it is."""
        written = self.shown if self.continues and self.has_text and not self.is_json else 0
        if self.is_calling or self.is_json or not self.has_text:
            return CappedAnswer(self.backend, written, tried=self.reserved)
        return CappedAnswer(self.backend, written) if self.continues else None
