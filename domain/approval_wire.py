"""What crosses the durable boundary when a turn waits for approvals? The rules of `domain.wire` hold."""

from typing import Final, Literal, TypedDict

from domain.tokens.sizes import SizeWire

ASK: Final = "ask_approvals"
"""The step that asks, and that carries out what was decided."""


class AskedWire(TypedDict):
    """What a turn does about its requests for an approval.

    call: run `calls`, and look again. wait: until `until` (seconds since the epoch), or until one of `open` is decided.
    answer: the model reads what became of them. end: the turn ends with what is there. ended: it has ended already.
    `added` is what denials add to the input of the next round.
    """

    follows: Literal["call", "wait", "answer", "end", "ended"]
    calls: list[str]
    open: list[str]
    until: float
    added: SizeWire


def decided_event(request_id: str) -> str:
    """Return the name of the external event that wakes the turn. It belongs to one request: SDKs keep early events."""
    return f"decided_{request_id}"
