"""What does a run of an attempt reserve before its call, and what is it charged when it has ended?

On a backend that is billed by time the run joins the backend's GPU session. It is charged its provisional share until
the session is closed.
"""

from collections.abc import Callable, Sequence
from copy import replace
from decimal import Decimal

from msgspec import Struct

from activities.inference.attempt_meter import AttemptMeter, close_record_from_log
from activities.inference.log_writer import LogWriter
from activities.inference.task import AttemptTask
from domain.errors import Exhausted
from domain.fleet.failure_classes import FailureClass
from domain.log.events import AttemptOutcome, Slot
from domain.money.ledger_records import AttemptRecord, with_reserved
from domain.money.prices import Price, TimePrice
from domain.money.sessions.transitions import SessionEntry, joint_charge
from state.money.gpu_sessions import GpuSessions, share_of
from state.money.ledger import Ledger

REJECTED_REQUEST = frozenset({FailureClass.BROKEN, FailureClass.CLIENT, FailureClass.UNFIT, FailureClass.THROTTLED})
"""The failures by which a backend rejects a request without starting an instance for it."""

LONGEST_COVER_WAIT_S = 30.0
"""A turn that waits for what other turns hold of a budget tries again within this time."""


class OpenedAttempt(Struct, frozen=True, kw_only=True):
    """A run's record, and its entry in a GPU session where the backend has sessions."""

    record: AttemptRecord
    entry: SessionEntry | None


class AttemptBilling:
    """Opens and closes the records of attempts. Each method is safe to repeat.

    Where another run of the same attempt has followed, the ledger adds only what is not in the log: the later run pays
    for the rest.
    """

    def __init__(self, ledger: Ledger, sessions: GpuSessions, notice: Callable[[str], None]) -> None:
        """`notice` is told the tenant of each attempt that has reserved its cost."""
        self.ledger = ledger
        self.sessions = sessions
        self.notice = notice

    async def open(self, task: AttemptTask, *, at: float) -> OpenedAttempt:
        """Reserve the run's worst-case cost. Raises Exhausted where a budget does not cover it."""
        record = task.record(at=at)
        limit_s = task.backend.limits.request_timeout_s if task.limit_s is None else task.limit_s
        entry = await self.sessions.enter(task.backend, task.owner, record, limit_s=limit_s)
        if entry:
            record = replace(with_reserved(record, entry.worst), starts_session=entry.is_first)
        try:
            session = share_of(task.backend, entry) if entry else ""
            joint = entry.joint if entry else None
            opened = await self.ledger.open_attempt(task.owner, record, session=session, joint=joint)
            self.notice(task.owner.tenant)
            return OpenedAttempt(record=opened, entry=entry)
        except Exhausted:
            if entry and not await self.was_opened_before(task, record):
                await self.sessions.give_up(task.backend, entry)
            raise

    async def was_opened_before(self, task: AttemptTask, record: AttemptRecord) -> bool:
        """Tell whether an earlier run was covered: it may have used the GPU, and stays in the session."""
        return any(each.id == record.id for each in await self.ledger.attempts(task.owner, task.response.id))

    async def close(
        self,
        task: AttemptTask,
        opened: OpenedAttempt,
        meter: AttemptMeter,
        outcome: AttemptOutcome,
        *,
        writer: LogWriter,
    ) -> None:
        """Charge the run for what it used, and leave the session. `writer` knows what of it is in the log."""
        closed, entry, joint = meter.close_record(outcome.result, outcome.message), opened.entry, None
        if entry and used_no_instance(task, meter, outcome):
            await self.sessions.give_up(task.backend, entry)
            closed = replace(closed, charge=replace(closed.charge, cost=Decimal(0), lines={}))
        elif entry:
            ended = backend_ended_at(meter, closed, outcome)
            shares = await self.sessions.leave(task.backend, entry, ended=ended, opened_at=meter.opened_at)
            closed = replace(closed, charge=replace(closed.charge, shares=shares))
            joint = joint_charge_of(task, entry, ended=ended)
        session = share_of(task.backend, entry) if entry else ""
        late = Decimal(0) if entry else meter.unlogged_cost(writer.pieces_written, writer.largest_slot)
        await self.ledger.close_attempt(task.owner, closed, session=session, joint=joint, late=late)

    async def close_from_log(
        self, task: AttemptTask, record: AttemptRecord, slots: Sequence[Slot], *, price: Price
    ) -> None:
        """Close the record that a run left open when it died."""
        closed = close_record_from_log(record, slots, price=price)
        entry = await self.sessions.entry_of(task.backend, record.id)
        if entry:
            ended = closed.progress.ended_at or record.started_at
            shares = await self.sessions.leave(task.backend, entry, ended=ended)
            closed = replace(closed, charge=replace(closed.charge, shares=shares))
        session = share_of(task.backend, entry) if entry else ""
        await self.ledger.close_attempt(task.owner, closed, session=session)


def joint_charge_of(task: AttemptTask, entry: SessionEntry, *, ended: float) -> Decimal | None:
    """Return the most that the turn pays of the session; None where its warm-up did not start the session."""
    price = task.backend.price
    if entry.joint is None or not isinstance(price, TimePrice):
        return None
    return joint_charge(price, entry, ended=ended)


def used_no_instance(task: AttemptTask, meter: AttemptMeter, outcome: AttemptOutcome) -> bool:
    """Tell whether the request was never sent, or a cold backend rejected it.

    After an earlier run that died this is unknown, and the answer is no.
    """
    if meter.record.progress.deliveries > 1:
        return False
    is_rejected = (
        task.is_cold and outcome.failure_class in REJECTED_REQUEST and meter.opened_at is None and not meter.pieces
    )
    return is_rejected or not meter.is_called


def backend_ended_at(meter: AttemptMeter, closed: AttemptRecord, outcome: AttemptOutcome) -> float:
    """Return when the backend finished its work: with the last piece of a complete answer, else with the run."""
    last_piece_at = meter.last_piece_at if outcome.result == "done" or outcome.capped else None
    return last_piece_at or closed.progress.ended_at or meter.called_at


def cover_delay_s(waits: int, *, fraction: float) -> float:
    """Return how long a turn waits for cover after so many waits: longer each time, and not all turns at once."""
    return round(min(2.0**waits, LONGEST_COVER_WAIT_S) * (0.5 + fraction / 2), 3)
