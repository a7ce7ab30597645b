"""Which events does the log of a response contain, and how are they numbered and stored?

A log is a chain of slots. Slot k is created exactly once and holds consecutive events; their numbers continue those of
slot k-1. A slot without events is a fence: a new writer creates it to take the log over. Each log event corresponds to
one event of the public stream, so that a sequence number has the same meaning for every reader in every release.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Self

from msgspec import Struct, field

from domain.content.items import ItemStatus
from domain.log.capped_answers import CappedAnswer
from domain.log.escalations import Escalation
from domain.log.item_events import ItemHeader, ItemResult, header_from_document, header_to_document
from domain.log.token_logprobs import TokenLogprob


class EventKind(StrEnum):
    CREATED = "created"
    QUEUED = "queued"
    STARTED = "started"
    ITEM_ADDED = "item_added"
    PART_ADDED = "part_added"
    TEXT = "text"
    TEXT_DONE = "text_done"
    PART_DONE = "part_done"
    ARGUMENTS = "arguments"
    ARGUMENTS_DONE = "arguments_done"
    CALL_STARTED = "call_started"
    CALL_SEARCHING = "call_searching"
    CALL_ENDED = "call_ended"
    ITEM_DONE = "item_done"
    ENDED = "ended"


class ResponseStatus(StrEnum):
    """The states of a response; the last four are terminal."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self not in (ResponseStatus.QUEUED, ResponseStatus.IN_PROGRESS)


class TokenUsage(Struct, frozen=True, kw_only=True):
    """Tokens as the backend counted them.

    Those that it read from its prompt cache (`cached`) and wrote to it (`written`) are a part of the input.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    written_tokens: int = 0

    def to_document(self) -> dict[str, int]:
        body = {
            "input": self.input_tokens,
            "cached": self.cached_tokens,
            "output": self.output_tokens,
            "reasoning": self.reasoning_tokens,
        }
        return body | ({"written": self.written_tokens} if self.written_tokens else {})

    @classmethod
    def from_document(cls, body: Mapping[str, int]) -> Self:
        return cls(
            input_tokens=body["input"],
            cached_tokens=body["cached"],
            output_tokens=body["output"],
            reasoning_tokens=body["reasoning"],
            written_tokens=body.get("written", 0),
        )


class Ending(Struct, frozen=True, kw_only=True):
    """How a turn ended. `code` is the error code (failed) or the reason (incomplete); otherwise it is empty.

    `at` is in seconds since the epoch; `notes` are shown in the response's metadata.
    """

    status: ResponseStatus
    at: float
    code: str = ""
    message: str = ""
    usage: TokenUsage | None = None
    notes: Mapping[str, str] = field(default_factory=dict[str, str])

    def to_document(self) -> dict[str, Any]:
        usage = self.usage.to_document() if self.usage else None
        body = {"status": self.status.value, "at": self.at, "code": self.code, "message": self.message, "usage": usage}
        return body | ({"notes": dict(self.notes)} if self.notes else {})

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            status=ResponseStatus(body["status"]),
            at=body["at"],
            code=body["code"],
            message=body["message"],
            usage=TokenUsage.from_document(body["usage"]) if body["usage"] else None,
            notes=body.get("notes", {}),
        )


class LogEvent(Struct, frozen=True, kw_only=True):
    """One event: `output` is the item's index, `text` a delta, `header` opens an item, `status` closes it.

    `is_refusal`: the event concerns the refusal of a message instead of its text. `result` is that of a tool which the
    server ran. `logprobs` are those of the tokens of a delta of text.
    """

    kind: EventKind
    output: int = 0
    text: str = ""
    header: ItemHeader | None = None
    status: ItemStatus | None = None
    ending: Ending | None = None
    is_refusal: bool = False
    result: ItemResult | None = None
    logprobs: tuple[TokenLogprob, ...] = ()

    def to_document(self) -> dict[str, Any]:
        plain = (("refusal", self.is_refusal), ("i", self.output), ("t", self.text))
        body: dict[str, Any] = {"e": self.kind.value, **{name: value for name, value in plain if value}}
        if self.header:
            body |= header_to_document(self.header)
        if self.status:
            body["s"] = self.status.value
        if self.ending:
            body["end"] = self.ending.to_document()
        if self.result:
            body["r"] = self.result.to_document()
        if self.logprobs:
            body["lp"] = [token.to_document() for token in self.logprobs]
        return body

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            kind=EventKind(body["e"]),
            output=body.get("i", 0),
            text=body.get("t", ""),
            header=header_from_document(body) if "h" in body else None,
            status=ItemStatus(body["s"]) if "s" in body else None,
            ending=Ending.from_document(body["end"]) if "end" in body else None,
            is_refusal=body.get("refusal", False),
            result=ItemResult.from_document(body["r"]) if "r" in body else None,
            logprobs=tuple(TokenLogprob.from_document(token) for token in body.get("lp", ())),
        )


CALLS: Final = "calls"
"""The result of an attempt whose model called tools that the server runs: another round follows."""


class AttemptOutcome(Struct, frozen=True, kw_only=True):
    """The result of an attempt. It is stored in the attempt's last slot, where a repeated activity finds it.

    `result`, `code`, `message`, `delay_s` and `posture` have the meaning of `wire.InferredWire`. `usage` is that of the
    whole turn; `counted` is that of the run that produced this outcome. `words` is the backend's own message. `calls`
    are the item ids of the calls that the server runs; `hands_back`: the caller's functions were called too, so the
    turn ends after the calls. `limit` is the limit because of which the model had to answer. `capped`: the answer
    reached the output that the attempt had reserved. `escalation`: it failed its checks, and a better model is asked.
    """

    attempt: int
    result: str
    code: str = ""
    message: str = ""
    delay_s: float = 0.0
    usage: TokenUsage | None = None
    failure_class: str = ""
    counted: TokenUsage | None = None
    words: str = ""
    calls: tuple[str, ...] = ()
    hands_back: bool = False
    limit: str = ""
    capped: CappedAnswer | None = None
    escalation: Escalation | None = None

    def to_document(self) -> dict[str, Any]:
        usage = self.usage.to_document() if self.usage else None
        return {
            **({"words": self.words} if self.words else {}),
            **({"calls": list(self.calls)} if self.calls else {}),
            **({"hands_back": True} if self.hands_back else {}),
            **({"limit": self.limit} if self.limit else {}),
            **({"capped": self.capped.to_wire()} if self.capped else {}),
            **({"escalation": self.escalation.to_wire()} if self.escalation else {}),
            "counted": self.counted.to_document() if self.counted else None,
            "posture": self.failure_class,
            "attempt": self.attempt,
            "result": self.result,
            "code": self.code,
            "message": self.message,
            "delay_s": self.delay_s,
            "usage": usage,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            attempt=body["attempt"],
            result=body["result"],
            code=body["code"],
            message=body["message"],
            delay_s=body["delay_s"],
            usage=TokenUsage.from_document(body["usage"]) if body["usage"] else None,
            failure_class=body.get("posture", ""),
            counted=TokenUsage.from_document(body["counted"]) if body.get("counted") else None,
            words=body.get("words", ""),
            calls=tuple(body.get("calls", ())),
            hands_back=body.get("hands_back", False),
            limit=body.get("limit", ""),
            capped=CappedAnswer.from_wire(body["capped"]) if "capped" in body else None,
            escalation=Escalation.from_wire(body["escalation"]) if "escalation" in body else None,
        )


EMPTIED_BY: Final = "deleted"
"""The writer of the empty slots that replace the slots of a deleted response."""


class Slot(Struct, frozen=True, kw_only=True):
    """Consecutive events by one writer; `first` is the sequence number of the first, `at` is seconds since the epoch.

    `pieces` counts the backend's chunks that make up its text, about one token each. `prediction` is the id under which
    the backend keeps the answer.
    """

    number: int
    writer: str
    first: int
    at: float
    events: tuple[LogEvent, ...] = ()
    pieces: int = 0
    outcome: AttemptOutcome | None = None
    prediction: str = ""

    @property
    def next_sequence(self) -> int:
        return self.first + len(self.events)

    def to_document(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "kind": "slot",
            "v": 1,
            "n": self.number,
            "writer": self.writer,
            "first": self.first,
            "at": self.at,
            "pieces": self.pieces,
            "events": [event.to_document() for event in self.events],
        }
        body |= {"outcome": self.outcome.to_document()} if self.outcome else {}
        return body | ({"prediction": self.prediction} if self.prediction else {})

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            number=body["n"],
            writer=body["writer"],
            first=body["first"],
            at=body["at"],
            pieces=body["pieces"],
            events=tuple(LogEvent.from_document(event) for event in body["events"]),
            outcome=AttemptOutcome.from_document(body["outcome"]) if "outcome" in body else None,
            prediction=body.get("prediction", ""),
        )
