"""How do the steps of a turn tell each other the size of its input?"""

from typing import NotRequired, TypedDict


class CountWire(TypedDict):
    """The tokens of a prompt for one model, as `domain.tokens.counts.TokenCount`."""

    expected: int
    likely: int
    ceiling: int
    counted_by: str


class SignsWire(TypedDict):
    """What the texts of a conversation show of how hard its turn is: code in the last message, earlier turns."""

    code: bool
    turns: int


class SizeWire(TypedDict):
    """A conversation's size in tokens, as in `domain.tokens.estimates.TokenEstimate`, and in bytes.

    `counts` has the tokens for each model that they were counted for; `signs` are those of a turn of `auto`.
    """

    expected: int
    likely: int
    ceiling: int
    bytes: int
    counts: NotRequired[dict[str, CountWire]]
    signs: NotRequired[SignsWire]
