"""How is a turn woken that waits for a place at a backend? Stored histories contain these names."""

from typing import Final, NotRequired, TypedDict

WITHOUT_PLACES: Final = frozenset({None, "1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7"})
"""The versions of orchestrations whose waits for a place only a timer ends."""


class ClaimWire(TypedDict):
    """`claim` is the tokens of KV memory that an attempt may need, where the memory of its backend is known."""

    claim: NotRequired[int]


def place_event(route: int) -> str:
    """Return the name of the external event that ends the wait after a route: each wait has its own."""
    return f"place_{route}"
