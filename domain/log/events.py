"""Which events does the log of a response contain, and how are they numbered and stored?

A log is a chain of slots. Slot k is created exactly once and holds consecutive events; their numbers continue those of
slot k-1. A slot without events is a fence: a new writer creates it to take the log over. Each log event corresponds to
one event of the public stream, so that a sequence number has the same meaning for every reader in every release.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Self

from domain.content.items import ItemKind, ItemStatus


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens as the backend counted them."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def to_document(self) -> dict[str, int]:
        return {
            "input": self.input_tokens,
            "cached": self.cached_tokens,
            "output": self.output_tokens,
            "reasoning": self.reasoning_tokens,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, int]) -> Self:
        return cls(
            input_tokens=body["input"],
            cached_tokens=body["cached"],
            output_tokens=body["output"],
            reasoning_tokens=body["reasoning"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemHeader:
    """The fields of an item that are known when it opens."""

    id: str
    kind: ItemKind = ItemKind.MESSAGE
    name: str = ""
    call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """One event: `output` is the item's index, `text` a delta, `header` opens an item, `status` closes it."""

    kind: EventKind
    output: int = 0
    text: str = ""
    header: ItemHeader | None = None
    status: ItemStatus | None = None
    ending: Ending | None = None

    def to_document(self) -> dict[str, Any]:
        body: dict[str, Any] = {"e": self.kind.value}
        if self.output:
            body["i"] = self.output
        if self.text:
            body["t"] = self.text
        if self.header:
            body["h"] = [self.header.id, self.header.kind.value, self.header.name, self.header.call_id]
        if self.status:
            body["s"] = self.status.value
        if self.ending:
            body["end"] = self.ending.to_document()
        return body

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            kind=EventKind(body["e"]),
            output=body.get("i", 0),
            text=body.get("t", ""),
            header=header_from_document(body["h"]) if "h" in body else None,
            status=ItemStatus(body["s"]) if "s" in body else None,
            ending=Ending.from_document(body["end"]) if "end" in body else None,
        )


def header_from_document(fields: list[str]) -> ItemHeader:
    return ItemHeader(id=fields[0], kind=ItemKind(fields[1]), name=fields[2], call_id=fields[3])


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptOutcome:
    """The result of an attempt. It is stored in the attempt's last slot, where a repeated activity finds it.

    `result`, `code`, `message`, `delay_s` and `posture` have the meaning of `wire.InferredWire`. `usage` is that of the
    whole turn; `counted` is that of the run that produced this outcome.
    """

    attempt: int
    result: str
    code: str = ""
    message: str = ""
    delay_s: float = 0.0
    usage: TokenUsage | None = None
    failure_class: str = ""
    counted: TokenUsage | None = None

    def to_document(self) -> dict[str, Any]:
        usage = self.usage.to_document() if self.usage else None
        return {
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
        )


EMPTIED_BY: Final = "deleted"
"""The writer of the empty slots that replace the slots of a deleted response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Consecutive events by one writer; `first` is the sequence number of the first, `at` is seconds since the epoch.

    `pieces` counts the backend's chunks that make up its text, about one token each.
    """

    number: int
    writer: str
    first: int
    at: float
    events: tuple[LogEvent, ...] = ()
    pieces: int = 0
    outcome: AttemptOutcome | None = None

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
        return body | ({"outcome": self.outcome.to_document()} if self.outcome else {})

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
        )
