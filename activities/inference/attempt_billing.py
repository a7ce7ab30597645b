"""What does a run of an attempt hold before its call, and what is it charged when it has ended?

On a machine that is paid by its time it takes part in the machine's session: it is charged its part as far as that is
known, until the session is closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from activities.inference.attempt_meter import AttemptMeter, closed_from_log
from activities.inference.task import AttemptTask
from domain.errors import Exhausted
from domain.fleet.failure_classes import FailureClass
from domain.log.events import AttemptOutcome, Slot
from domain.money.ledger_records import AttemptRecord
from domain.money.prices import Price
from state.money.gpu_sessions import GpuSessions, SessionEntry
from state.money.ledger import Ledger

AT_THE_DOOR = frozenset({FailureClass.BROKEN, FailureClass.CLIENT, FailureClass.UNFIT, FailureClass.THROTTLED})
"""So a backend answers that has not let a request in and starts nothing for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedAttempt:
    """A run's record, and its part in a session where the backend has sessions."""

    record: AttemptRecord
    entry: SessionEntry | None


class AttemptBilling:
    """Every step is safe to repeat: a run that another has followed charges nothing."""

    def __init__(self, ledger: Ledger, sessions: GpuSessions) -> None:
        self.ledger = ledger
        self.sessions = sessions

    async def open(self, task: AttemptTask, *, at: float) -> OpenedAttempt:
        """Hold what the run may cost at worst; raises Exhausted where a budget has no room for that."""
        record = task.record(at=at)
        limit_s = task.backend.limits.request_timeout_s if task.limit_s is None else task.limit_s
        entry = await self.sessions.enter(task.backend, task.owner, record, limit_s=limit_s)
        if entry:
            record = replace(record, reserved=max(record.reserved, entry.worst))
        try:
            return OpenedAttempt(record=await self.ledger.open_attempt(task.owner, record), entry=entry)
        except Exhausted:
            if entry and not await self.opened_before(task, record):
                await self.sessions.give_up(task.backend, entry)
            raise

    async def opened_before(self, task: AttemptTask, record: AttemptRecord) -> bool:
        """Tell whether an earlier run had its cover: it may have been in the machine, and stays in its session."""
        return any(each.id == record.id for each in await self.ledger.attempts(task.owner, task.response.id))

    async def close(
        self, task: AttemptTask, opened: OpenedAttempt, meter: AttemptMeter, outcome: AttemptOutcome
    ) -> None:
        closed, entry = meter.closed(outcome.result, outcome.message), opened.entry
        if entry and started_nothing(task, meter, outcome):
            await self.sessions.give_up(task.backend, entry)
            closed = replace(closed, cost=Decimal(0), lines={})
        elif entry:
            ended = ended_at(meter, closed, outcome)
            shares = await self.sessions.leave(task.backend, entry, ended=ended, opened_at=meter.opened_at)
            closed = replace(closed, shares=shares)
        await self.ledger.close_attempt(task.owner, closed)

    async def close_from_log(
        self, task: AttemptTask, record: AttemptRecord, slots: Sequence[Slot], *, price: Price
    ) -> None:
        """Close the record of a run that died before it could."""
        closed = closed_from_log(record, slots, price=price)
        entry = await self.sessions.entry_of(task.backend, record.id)
        if entry:
            ended = closed.ended_at or record.started_at
            closed = replace(closed, shares=await self.sessions.leave(task.backend, entry, ended=ended))
        await self.ledger.close_attempt(task.owner, closed)


def started_nothing(task: AttemptTask, meter: AttemptMeter, outcome: AttemptOutcome) -> bool:
    """Tell whether an attempt was refused at the door of a machine that may not live, or never came to it.

    Of a run that died before this one nobody knows how far it came.
    """
    if meter.record.deliveries > 1:
        return False
    at_the_door = task.cold and outcome.posture in AT_THE_DOOR and meter.opened_at is None and not meter.said
    return at_the_door or not meter.sent


def ended_at(meter: AttemptMeter, closed: AttemptRecord, outcome: AttemptOutcome) -> float:
    """Return when the backend was done: with the last that was heard of it, where it had said all."""
    heard = meter.heard_at if outcome.result == "done" else None
    return heard or closed.ended_at or meter.asked_at
