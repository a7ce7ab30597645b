"""What has become of an event: the turn that it determines, and whether its answer has arrived?"""

import hashlib
import json
from collections.abc import Mapping
from copy import replace
from enum import StrEnum
from typing import Any, Self

from msgspec import Struct

from domain.identity.owners import Owner
from domain.ids import member_id


class RunStatus(StrEnum):
    """`open`: the turn has not ended. `delivering`: its answer has not arrived. `dead`: it never will by itself."""

    OPEN = "open"
    DELIVERING = "delivering"
    DONE = "done"
    DEAD = "dead"


def event_digest(pipeline: str, source: str, identifier: str) -> str:
    """Return the 64 hexadecimal digits that identify an event of a pipeline."""
    return hashlib.sha256(json.dumps([pipeline, source, identifier]).encode()).hexdigest()


class EventRun(Struct, frozen=True, kw_only=True):
    """One event of a pipeline.

    `text` is what the event says, until its run is done; `marker` is random. `tries` counts how often the event was
    sent again from among the dead by a new turn. `step` is the number, from 0, of the step that has not ended, and
    `previous` the response of the step before it. `created_at`, and `dead_at` of a run that is or was dead, are in
    seconds since the epoch; a release that stored no `dead_at` listed dead events by their digests. `looked_at` is when
    a sweep that had more runs before it than it may look at has looked at this one; else 0.
    """

    pipeline: str
    owner: Owner
    digest: str
    created_at: float
    marker: str
    text: str
    status: RunStatus = RunStatus.OPEN
    reason: str = ""
    tries: int = 0
    step: int = 0
    previous: str = ""
    dead_at: float = 0.0
    looked_at: float = 0.0

    @property
    def id(self) -> str:
        return f"event_{self.pipeline}_{self.digest}"

    @property
    def thread(self) -> str:
        return self.digest[:24]

    @property
    def response(self) -> str:
        """The id of the turn of the present step, which is the same however often the event arrives."""
        step = f" {self.step}" if self.step else ""
        tried = hashlib.sha256(f"{self.digest} {self.tries}{step}".encode()).hexdigest()
        token = f"{int(self.created_at * 1000):012x}{tried[:12]}"
        return member_id("resp", thread=self.thread, token=token)

    def entered(self, status: RunStatus, reason: str = "") -> "EventRun":
        """Return the run with another status; what an event says is forgotten once it is done."""
        text = "" if status is RunStatus.DONE else self.text
        return replace(self, status=status, reason=reason, text=text)

    def is_at(self, other: "EventRun") -> bool:
        """Tell whether two versions of a run have the same turn."""
        return (self.tries, self.step) == (other.tries, other.step)

    def next_step(self) -> "EventRun":
        """Return the run at its next step, which reads the answer of the present one."""
        return replace(self, step=self.step + 1, previous=self.response, reason="")

    def again(self) -> "EventRun":
        """Return the run with a new turn of the step that failed."""
        return replace(self, status=RunStatus.OPEN, reason="", tries=self.tries + 1)

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": "pipeline_event",
            "v": 1,
            "at": self.looked_at or self.created_at,
            **({"created_at": self.created_at} if self.looked_at else {}),
            "status": self.status.value,
            "pipeline": self.pipeline,
            "tenant": self.owner.tenant,
            "subject": self.owner.subject,
            "digest": self.digest,
            "marker": self.marker,
            "text": self.text,
            "reason": self.reason,
            "tries": self.tries,
            **({"step": self.step, "previous": self.previous} if self.step else {}),
            **({"dead_at": self.dead_at} if self.dead_at else {}),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            pipeline=body["pipeline"],
            owner=Owner(tenant=body["tenant"], subject=body["subject"]),
            digest=body["digest"],
            created_at=body.get("created_at", body["at"]),
            looked_at=body["at"] if "created_at" in body else 0.0,
            marker=body["marker"],
            text=body["text"],
            status=RunStatus(body["status"]),
            reason=body["reason"],
            tries=body["tries"],
            step=body.get("step", 0),
            previous=body.get("previous", ""),
            dead_at=body.get("dead_at", 0.0),
        )


def dead_prefix(pipeline: str) -> str:
    return f"dead_{pipeline}_"
