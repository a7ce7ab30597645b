"""What does a turn of `auto` keep of an answer that failed its checks, when it asks a better model?"""

from typing import NamedTuple, TypedDict


class Escalation(NamedTuple):
    """`backend` wrote the answer that failed, for `reason`.

    `result` and `code` end the turn where no better answer comes.
    """

    backend: str
    reason: str
    result: str
    code: str


class EscalationWire(TypedDict):
    """An `Escalation` between the steps of a turn."""

    backend: str
    reason: str
    result: str
    code: str
