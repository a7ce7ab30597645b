"""What does a turn of `auto` keep of an answer that failed its checks, when it asks a better model?"""

from typing import NamedTuple, Self, TypedDict


class EscalationWire(TypedDict):
    """An `Escalation` between the steps of a turn, and in the log."""

    backend: str
    reason: str
    result: str
    code: str


class Escalation(NamedTuple):
    """`backend` wrote the answer that failed, for `reason`.

    `result` and `code` end the turn where no better answer comes.
    """

    backend: str
    reason: str
    result: str
    code: str

    def to_wire(self) -> EscalationWire:
        return {"backend": self.backend, "reason": self.reason, "result": self.result, "code": self.code}

    @classmethod
    def from_wire(cls, wire: EscalationWire) -> Self:
        return cls(backend=wire["backend"], reason=wire["reason"], result=wire["result"], code=wire["code"])
