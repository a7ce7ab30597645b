"""What did an attempt use, and what does that cost?"""

from collections.abc import Sequence
from dataclasses import replace

from clients.backends.port import AnswerEnd, TextPiece
from clients.clock import Clock
from domain.fleet.state_updates import Observation
from domain.log.events import AttemptOutcome, Slot, TokenUsage
from domain.money.costing import BackendWork, attempt_cost, line_of
from domain.money.ledger_records import AttemptRecord, AttemptStatus
from domain.money.prices import Price


class AttemptMeter:
    """Measures one run of one attempt. `record` is the attempt as the ledger opened it, `earlier` what runs showed that
    died before this one: they were billed too.

    `sent` tells whether the backend was asked, and not only for the proof of who we are. `opened_at` is when a backend
    that was not believed to be up let the request in.
    """

    def __init__(self, clock: Clock, *, price: Price, record: AttemptRecord, earlier: Sequence[Slot] = ()) -> None:
        self.clock = clock
        self.earlier = earlier
        self.price = price
        self.record = record
        self.asked_at = clock.now()
        self.sent = False
        self.opened_at: float | None = None
        self.first_token_at: float | None = None
        self.heard_at: float | None = None
        self.said = 0
        self.usage: TokenUsage | None = None

    def count(self, pieces: Sequence[TextPiece | AnswerEnd]) -> None:
        said = sum(isinstance(piece, TextPiece) for piece in pieces)
        self.heard_at = self.clock.now() if pieces else self.heard_at
        if said and self.first_token_at is None:
            self.first_token_at = self.clock.now()
        self.said += said

    @property
    def first_token_s(self) -> float | None:
        return None if self.first_token_at is None else self.first_token_at - self.asked_at

    def observation(self) -> Observation | None:
        """Return what the run teaches about its backend; nothing where it said or counted nothing."""
        if self.usage is None or self.first_token_at is None:
            return None
        return Observation(
            attempt=self.record.id,
            started_at=self.asked_at,
            first_token_at=self.first_token_at,
            ended_at=self.clock.now(),
            input_tokens=self.usage.input_tokens,
            cached_tokens=self.usage.cached_tokens,
            output_tokens=self.usage.output_tokens,
            cold_s=None if self.opened_at is None else self.opened_at - self.asked_at,
        )

    @property
    def counted(self) -> TokenUsage:
        """What this run took, by the backend's count or else by ours."""
        return self.usage or uncounted(self.record, self.said)

    def closed(self, result: str, reason: str) -> AttemptRecord:
        """Return the record, closed now at what was used; what the backend didn't count is what it read and said."""
        usage = with_earlier(self.counted, self.earlier, self.record)
        first = self.record.first_token_at or self.first_token_at
        opened = replace(self.record, usage=usage, first_token_at=first)
        return closed_at(opened, self.clock.now(), price=self.price, result=result, reason=reason)


def uncounted(record: AttemptRecord, said: int) -> TokenUsage:
    """Return what a backend that was broken off took: a token for each piece, and the prompt as it was estimated."""
    return TokenUsage(input_tokens=record.prompt_tokens if said else 0, output_tokens=said)


def with_earlier(usage: TokenUsage, earlier: Sequence[Slot], record: AttemptRecord) -> TokenUsage:
    """Add what runs took that died: a token for each piece that they showed, and as much input as this one each.

    Where this one took none, that is as much as was estimated.
    """
    died = len({slot.writer for slot in earlier if slot.pieces})
    return replace(
        usage,
        input_tokens=usage.input_tokens + died * (usage.input_tokens or record.prompt_tokens),
        cached_tokens=usage.cached_tokens * (1 + died),
        output_tokens=usage.output_tokens + sum(slot.pieces for slot in earlier),
    )


def of_attempt(record: AttemptRecord, slots: Sequence[Slot]) -> Sequence[Slot]:
    """Return the slots that an attempt's runs wrote: since its start, and after the outcome of the one before."""
    others = [at for at, slot in enumerate(slots, 1) if slot.outcome and slot.outcome.attempt < record.number]
    return [slot for slot in slots[max(others, default=0) :] if slot.at >= record.started_at]


def closed_at(record: AttemptRecord, at: float, *, price: Price, result: str, reason: str) -> AttemptRecord:
    """Close an attempt's record: busy from its first start to `at` (seconds since the epoch)."""
    usage = record.usage or TokenUsage()
    work = BackendWork(
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        busy_s=max(0.0, at - record.started_at),
    )
    cost = attempt_cost(price, work)
    return replace(
        record,
        status=AttemptStatus.CLOSED,
        ended_at=at,
        usage=usage,
        cost=cost,
        lines={line_of(price): cost},
        result=result,
        reason=reason,
    )


def closed_from_log(record: AttemptRecord, slots: Sequence[Slot], *, price: Price) -> AttemptRecord:
    """Close the record of a run that died before it could: at its outcome, else at what it had shown till the end."""
    own = of_attempt(record, slots)
    last = next((slot for slot in own if slot.outcome and slot.outcome.attempt == record.number), None)
    outcome = (last and last.outcome) or AttemptOutcome(
        attempt=record.number, result="ended", message="its run was lost"
    )
    counted = replace(record, usage=used_by(record, own, outcome, last))
    last_at = max((slot.at for slot in own), default=record.started_at)
    return closed_at(counted, last_at, price=price, result=outcome.result, reason=outcome.message)


def used_by(record: AttemptRecord, own: Sequence[Slot], outcome: AttemptOutcome, last: Slot | None) -> TokenUsage:
    """Return what the runs of an attempt took, by the slots that they wrote and the outcome in the last of these."""
    if outcome.usage and not outcome.counted:
        return outcome.usage
    writer = next((slot.writer for slot in (last, *reversed(own)) if slot and (slot is last or slot.pieces)), "")
    said = sum(slot.pieces for slot in own if slot.writer == writer)
    earlier = [slot for slot in own if slot.writer != writer]
    return with_earlier(outcome.counted or uncounted(record, said), earlier, record)
