"""What is known of one call of a tool: who sent it, until when it may run, and how it ended?"""

import hashlib
from collections.abc import Mapping
from copy import replace
from enum import StrEnum
from typing import Any, Final, Self

from msgspec import Struct

from domain.content.items import ItemStatus
from domain.ids import own_token

SEND_WITHIN_S: Final = 5.0
"""A starter that has not sent its request after so many seconds must not send it any more."""

MARGIN_S: Final = 2.0
"""How long after the end of a request others wait before they give it up; clocks of instances differ a little."""


class RecordStatus(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


STEP_LOOK_S: Final = 0.5
STEP_LOOK_SHARE: Final = 0.2
STEP_LOOKS_S: Final = 20.0
"""So long the step that has begun a task asks for it itself: each time after a fifth of the time so far."""

TIMER_LOOK_SHARE: Final = 0.5
TIMER_LOOK_S: Final = 600.0
LONG_LOOK_SHARE: Final = 1 / 6
"""Then a timer waits for half of the time that the task has taken so far; above ten minutes, for a sixth of it."""

LAST_LOOK_S: Final = 5.0
LEFT_SHARE: Final = 0.75
"""No wait takes more than three quarters of the time that is left of a task, until the last five seconds.

At its end the server may have forgotten the result, and a look waits up to a quarter longer for those of other tasks.
"""


class RemoteTask(Struct, frozen=True, kw_only=True):
    """A call that its server runs as a task: it has answered with an id, and goes on.

    The server is asked for it every `poll_s` seconds at most, until `until`. Times are seconds since the epoch.
    Each look of a timer is a step of the orchestration, so they become less frequent: 16 in an hour, 37 in a day.
    """

    id: str
    poll_s: float
    since: float
    until: float

    def look_at(self, now: float) -> float:
        """Return when a timer is to ask for it next."""
        taken_s = now - self.since
        after_s = min(taken_s * TIMER_LOOK_SHARE, max(TIMER_LOOK_S, taken_s * LONG_LOOK_SHARE))
        return self.not_before(now, max(after_s, STEP_LOOK_S))

    def step_looks_at(self, now: float) -> float:
        """Return when the step that has begun it is to ask for it next."""
        return self.not_before(now, max((now - self.since) * STEP_LOOK_SHARE, STEP_LOOK_S))

    def not_before(self, now: float, after_s: float) -> float:
        left_s = max(self.until - now, 0.0)
        most_s = left_s * LEFT_SHARE if left_s > LAST_LOOK_S else left_s
        return now + min(max(min(after_s, most_s), self.poll_s), left_s)

    def to_document(self) -> dict[str, Any]:
        return {"id": self.id, "poll_s": self.poll_s, "since": self.since, "until": self.until}

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(id=body["id"], poll_s=body["poll_s"], since=body["since"], until=body["until"])


class CallOutcome(Struct, frozen=True, kw_only=True):
    """How a call ended: an output, or an error as an object of the API. `unknown`: it may have had its effect.

    `whole` is how many characters the output had before it was cut; 0 where it was not. `images` are data URLs.
    A call that goes on as a task of its server has not ended: it is in progress, and has the `task`.
    `is_unsent`: it is the outcome of a run that has sent nothing of a write; it says so, and is not stored.
    """

    status: ItemStatus
    output: str | None = None
    error: Mapping[str, Any] | None = None
    unknown: bool = False
    whole: int = 0
    images: tuple[str, ...] = ()
    task: RemoteTask | None = None
    is_unsent: bool = False

    def to_document(self) -> dict[str, Any]:
        error = dict(self.error) if self.error else None
        body = {"status": self.status.value, "output": self.output, "error": error, "unknown": self.unknown}
        images = {"images": list(self.images)} if self.images else {}
        return body | ({"whole": self.whole} if self.whole else {}) | images

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            status=ItemStatus(body["status"]),
            output=body["output"],
            error=body["error"],
            unknown=body["unknown"],
            whole=body.get("whole", 0),
            images=tuple(body.get("images", ())),
        )


class CallRecord(Struct, frozen=True, kw_only=True):
    """One call. It is created before anything is sent, and its outcome is added once.

    `starter` is the run that may send it, which begins with the id of its turn. `send_until` and `ends_by` are the
    times by which this run has sent and ended its requests. `tries` counts requests. Times are seconds since the epoch.
    Once its server runs it as a `task`, any run asks for that, and none sends the call again.
    """

    response: str
    item: str
    server: str
    tool: str
    arguments_hash: str
    starter: str
    started_at: float
    send_until: float
    ends_by: float
    tries: int = 0
    outcome: CallOutcome | None = None
    ended_at: float | None = None
    task: RemoteTask | None = None

    @property
    def id(self) -> str:
        return call_id(self.response, self.item)

    @property
    def has_ended_or_goes_on(self) -> bool:
        """Tell whether the call has an outcome, or is a task that any run may ask for."""
        return self.outcome is not None or self.task is not None

    @property
    def is_shared(self) -> bool:
        """Tell whether the call is an approved one, which belongs to all turns with its approval."""
        return self.item.startswith("mcpr_")

    @property
    def turn(self) -> str:
        """The id of the turn whose run may send the call."""
        return self.starter.partition("/")[0]

    def is_run_by(self, response_id: str) -> bool:
        """Tell whether the run that may send the call is one of this turn."""
        return not self.is_shared or self.starter.startswith(f"{response_id}/")

    def runs_task_unknown_to(self, earlier: "CallRecord") -> bool:
        """Tell whether the server runs the call as a task, which an earlier state of the record does not have."""
        return self.task is not None and earlier.task is None

    def restarted(self, *, starter: str, at: float, lasts_s: float) -> "CallRecord":
        """Return the record for a run that sends the call again, which takes `lasts_s` seconds at most."""
        send_until = at + SEND_WITHIN_S
        return replace(self, starter=starter, send_until=send_until, ends_by=send_until + lasts_s)

    def ended(self, outcome: CallOutcome, *, at: float) -> "CallRecord":
        return replace(self, outcome=outcome, ended_at=at)

    def to_document(self) -> dict[str, Any]:
        status = RecordStatus.CLOSED if self.outcome else RecordStatus.OPEN
        return {
            "kind": "call",
            "v": 1,
            "status": status.value,
            "at": self.started_at,
            "response": self.response,
            "item": self.item,
            "server": self.server,
            "tool": self.tool,
            "arguments_hash": self.arguments_hash,
            "starter": self.starter,
            "send_until": self.send_until,
            "ends_by": self.ends_by,
            "tries": self.tries,
            "outcome": self.outcome.to_document() if self.outcome else None,
            "ended_at": self.ended_at,
            **({"task": self.task.to_document()} if self.task else {}),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            response=body["response"],
            item=body["item"],
            server=body["server"],
            tool=body["tool"],
            arguments_hash=body["arguments_hash"],
            starter=body["starter"],
            started_at=body["at"],
            send_until=body["send_until"],
            ends_by=body["ends_by"],
            tries=body["tries"],
            outcome=CallOutcome.from_document(body["outcome"]) if body["outcome"] else None,
            ended_at=body["ended_at"],
            task=RemoteTask.from_document(body["task"]) if "task" in body else None,
        )


ORPHAN: Final = "orphan"
"""The kind of the record of a deleted turn's call that its server still runs as a task."""


def orphaned(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what the record of a call becomes when its turn is deleted, so that its task can be cancelled.

    None for a call without such a task, and for one that a run of another turn follows: that record is just deleted.
    """
    if body.get("kind") != "call" or body.get("outcome") or not body.get("task"):
        return None
    record = CallRecord.from_document(body)
    return {**body, "kind": ORPHAN} if record.is_run_by(record.response) else None


def call_prefix(response_id: str) -> str:
    return f"call_{own_token(response_id)}_"


def call_id(response_id: str, item_id: str) -> str:
    return f"{call_prefix(response_id)}{own_token(item_id)}"


def hash_of(arguments: str) -> str:
    """Return a hash by which equal arguments are recognized; it reveals nothing else of long ones."""
    return hashlib.sha256(arguments.encode(errors="surrogatepass")).hexdigest()[:16]
