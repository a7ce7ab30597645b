"""How far has a turn come, and does it wait for somebody's approval?"""

from collections.abc import Mapping
from copy import replace
from typing import Any, Final, NamedTuple, Self

from msgspec import Struct

from domain.log.events import ResponseStatus

WAITING: Final = "waiting"
"""The stored status of a turn in progress that waits in place: the queries for running turns do not find it."""

ANSWER_SHARE: Final = 0.1
"""The part of a turn's time, without its waits for approvals, that is kept for the answer after the calls of tools."""

MOST_ANSWER_S: Final = 60.0
"""No turn keeps more seconds for its answer."""


class ApprovalWait(NamedTuple):
    """A wait for approvals that began at `since` and ends at `until`, in seconds since the epoch."""

    since: float
    until: float


class ResponseProgress(Struct, frozen=True, kw_only=True):
    """How far the turn has come. `execution` names the one run of the orchestration that works on it.

    `followers` are the turns that were admitted to begin when this one has ended, outside of a conversation. `wait` is
    the present wait for approvals, and `waited_s` what earlier ones have lasted together.
    """

    status: ResponseStatus = ResponseStatus.QUEUED
    execution: str | None = None
    begun_at: float | None = None
    ended_at: float | None = None
    output_items: tuple[str, ...] = ()
    followers: tuple[str, ...] = ()
    wait: ApprovalWait | None = None
    waited_s: float = 0.0

    def with_wait(self, at: float, *, until: float) -> "ResponseProgress":
        since = self.wait.since if self.wait else at
        return replace(self, wait=ApprovalWait(since, until))

    def without_wait(self, at: float) -> "ResponseProgress":
        """Return the progress after the present wait, if any."""
        if self.wait is None:
            return self
        return replace(self, wait=None, waited_s=self.waited_s + max(0.0, at - self.wait.since))

    def time_of_record(self, created_at: float) -> dict[str, float]:
        """Return the members by which the sweep finds a record: a turn that waits is looked at after its wait."""
        return {"at": self.wait.until, "created_at": created_at} if self.wait else {"at": created_at}

    def answer_s(self, lasts_s: float) -> float:
        """Return the seconds that are kept for the answer of a turn that lasts so long, its waits included."""
        return min(ANSWER_SHARE * (lasts_s - self.waited_s), MOST_ANSWER_S)

    def to_document(self) -> dict[str, Any]:
        return {
            **({"followers": list(self.followers)} if self.followers else {}),
            **({"wait": list(self.wait)} if self.wait else {}),
            **({"waited_s": self.waited_s} if self.waited_s else {}),
            "status": WAITING if self.wait else self.status.value,
            "execution": self.execution,
            "begun_at": self.begun_at,
            "ended_at": self.ended_at,
            "output_items": list(self.output_items),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        waits = body["status"] == WAITING
        return cls(
            status=ResponseStatus.IN_PROGRESS if waits else ResponseStatus(body["status"]),
            execution=body["execution"],
            begun_at=body["begun_at"],
            ended_at=body["ended_at"],
            output_items=tuple(body["output_items"]),
            followers=tuple(body.get("followers", ())),
            wait=ApprovalWait(*body["wait"]) if waits else None,
            waited_s=body.get("waited_s", 0.0),
        )
