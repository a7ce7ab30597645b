"""What did an attempt use, and what does that cost?"""

import logging
from collections.abc import Sequence
from copy import replace
from decimal import Decimal

from activities.inference.lost_runs import margin_of, unseen_work
from clients.backends.port import AnswerEnd, TextPiece
from clients.clock import Clock
from domain.fleet.instances.memory import UNKNOWN
from domain.fleet.learned_speed import Observation
from domain.log.events import AttemptOutcome, Slot, TokenUsage
from domain.log.writers import is_copy
from domain.money.costing import BackendWork, attempt_cost, line_of
from domain.money.ledger_records import AttemptRecord
from domain.money.prices import Price, TokenPrice
from telemetry.chat import CallMeasures

log = logging.getLogger(__name__)

CLOSE_S = 0.01
"""Seconds until a backend notices a closed connection: about one round trip. It generates tokens until then."""

LEAST_MARGIN, MARGIN_SHARE = 16, 0.02
"""The margin for those tokens is at most the larger of so many, and this share of the tokens that arrived."""

MIN_CHUNKS = 2
"""Fewer chunks have no time between them."""

MOST_BEYOND_S = 60.0
"""How much longer than an attempt took by our clock a provider may bill it: it counts by its own."""

NOTHING_UNSEEN = BackendWork()
RUN_LOST = "the run was lost before it recorded an outcome"


class AttemptMeter:
    """Measures one run of one attempt.

    `record` is the attempt as the ledger opened it. `earlier` are the slots of earlier runs, which died: the attempt
    pays for them too. `is_called` tells whether the request went to the backend. `opened_at` is when a cold backend
    accepted it. Times are seconds since the epoch.
    """

    def __init__(self, clock: Clock, *, price: Price, record: AttemptRecord, earlier: Sequence[Slot]) -> None:
        self.clock = clock
        self.earlier = earlier
        self.price = price
        self.record = record
        self.called_at = clock.now()
        self.is_called = False
        self.opened_at: float | None = None
        self.first_token_at: float | None = None
        self.last_piece_at: float | None = None
        self.pieces = 0
        self.characters = 0
        self.margin = 0
        self.usage: TokenUsage | None = None
        self.billed_s: float | None = None
        self.start = UNKNOWN

    def start_call(self) -> None:
        """Record that the request goes to the backend now."""
        self.called_at = self.clock.now()
        self.is_called = True

    def count(self, pieces: Sequence[TextPiece | AnswerEnd], *, first_text_at: float | None = None) -> None:
        """Count what was taken; the first words, where they are among it, may have arrived before."""
        texts = [piece.text for piece in pieces if isinstance(piece, TextPiece)]
        text_pieces = len(texts)
        self.characters += sum(map(len, texts))
        self.last_piece_at = self.clock.now() if pieces else self.last_piece_at
        if text_pieces and self.first_token_at is None:
            self.first_token_at = first_text_at or self.clock.now()
        self.pieces += text_pieces

    def count_untaken(
        self, pieces: Sequence[TextPiece | AnswerEnd], *, was_cut: bool, first_text_at: float | None = None
    ) -> None:
        """Count what arrived after the last take. `was_cut`: the backend was still sending when the call was closed."""
        self.count(pieces, first_text_at=first_text_at)
        end = next((piece for piece in pieces if isinstance(piece, AnswerEnd)), None)
        if end:
            self.end(end)
        elif was_cut:
            self.margin = self.tokens_in_flight()

    def end(self, end: AnswerEnd) -> None:
        """Record what the backend says of its own work. A time far beyond the attempt's own is no bill."""
        self.usage, self.billed_s = end.usage, end.billed_s
        longest_s = max(0.0, self.clock.now() - self.record.started_at) + MOST_BEYOND_S
        if end.billed_s is not None and not 0 <= end.billed_s <= longest_s:
            log.warning(
                "attempt %s is billed by the measured time: the backend reports %g s, which is impossible",
                self.record.id,
                end.billed_s,
            )
            self.billed_s = None

    @property
    def busy_s(self) -> float | None:
        """The seconds that the attempt takes of its backend where the provider names them for the last run.

        Each earlier run was a call of its own, billed apart, unless all of them read one prediction.
        """
        is_one_call = not self.earlier or any(slot.prediction for slot in self.earlier)
        if self.billed_s is None or is_one_call:
            return self.billed_s
        return self.billed_s + max(0.0, self.called_at - self.record.started_at)

    def tokens_in_flight(self) -> int:
        """Estimate the tokens that the backend generates until it notices that the connection is closed."""
        if self.first_token_at is None or self.last_piece_at is None or self.last_piece_at <= self.first_token_at:
            return 0
        tokens_per_s = (self.pieces - 1) / (self.last_piece_at - self.first_token_at)
        return min(round(tokens_per_s * CLOSE_S), max(LEAST_MARGIN, int(self.pieces * MARGIN_SHARE)))

    @property
    def first_token_s(self) -> float | None:
        return None if self.first_token_at is None else self.first_token_at - self.called_at

    @property
    def elapsed_s(self) -> float:
        """Seconds since the call, or since the run began where there was no call."""
        return self.clock.now() - self.called_at

    def call_measures(self, finish_reason: str) -> CallMeasures:
        """Return what telemetry records of the call."""
        first, last, chunks = self.first_token_at, self.last_piece_at, self.pieces
        streamed_s = None if first is None or last is None or chunks < MIN_CHUNKS else last - first
        return CallMeasures(
            seconds=self.elapsed_s,
            first_token_s=self.first_token_s,
            chunk_s=None if streamed_s is None else streamed_s / (chunks - 1),
            usage=self.usage,
            finish_reason=finish_reason,
        )

    def observation(self) -> Observation | None:
        """Return what the run teaches about its backend; None without text or without the backend's token counts."""
        if self.usage is None or self.first_token_at is None:
            return None
        return Observation(
            attempt=self.record.id,
            started_at=self.called_at,
            first_token_at=self.first_token_at,
            ended_at=self.clock.now(),
            input_tokens=self.usage.input_tokens,
            cached_tokens=self.usage.cached_tokens,
            output_tokens=self.usage.output_tokens,
            cold_s=None if self.opened_at is None else self.opened_at - self.called_at,
            beside=self.start.beside,
        )

    @property
    def usage_or_estimate(self) -> TokenUsage:
        """The tokens of this run: the backend's counts where it gave them, else an estimate."""
        return self.usage or estimated_usage(self.record, self.pieces + self.margin)

    def unlogged_cost(self, logged: int, largest_slot: int) -> Decimal:
        """Return the cost of what this run used beyond its `logged` pieces and beyond what is charged for a dead run.

        Nobody sees that in the log. `largest_slot` is how many pieces the largest of its slots has.
        """
        if not isinstance(self.price, TokenPrice):
            return Decimal(0)
        beyond = self.usage_or_estimate.output_tokens - logged - margin_of(largest_slot)
        return attempt_cost(self.price, BackendWork(output_tokens=max(0, beyond)))

    def close_record(self, result: str, reason: str) -> AttemptRecord:
        """Return the record, closed now and charged for the tokens of all runs."""
        usage = with_earlier_runs(self.usage_or_estimate, self.earlier, self.record)
        first_token_at = self.record.progress.first_token_at or self.first_token_at
        opened_at = self.record.progress.opened_at or self.opened_at
        progress = replace(self.record.progress, usage=usage, first_token_at=first_token_at, opened_at=opened_at)
        measured = replace(self.record, progress=progress)
        requests = answered_runs(self.earlier) + bool(self.pieces or self.usage)
        return close_record(
            measured,
            self.clock.now(),
            price=self.price,
            requests=requests,
            result=result,
            reason=reason,
            busy_s=self.busy_s,
            unseen=unseen_work(self.record, self.earlier, runs=self.record.progress.deliveries - 1),
        )


def estimated_usage(record: AttemptRecord, pieces: int) -> TokenUsage:
    """Estimate the tokens of an interrupted call: one for each piece, and the prompt's estimate where text came."""
    return TokenUsage(input_tokens=record.prompt_tokens if pieces else 0, output_tokens=pieces)


def with_earlier_runs(usage: TokenUsage, earlier: Sequence[Slot], record: AttemptRecord) -> TokenUsage:
    """Add the tokens of earlier runs: one for each piece in the log, and for each run the input of this one.

    Where this run has no input tokens, each earlier run counts with the prompt's estimate.
    """
    runs = answered_runs(earlier)
    return replace(
        usage,
        input_tokens=usage.input_tokens + runs * (usage.input_tokens or record.prompt_tokens),
        cached_tokens=usage.cached_tokens * (1 + runs),
        written_tokens=usage.written_tokens * (1 + runs),
        output_tokens=usage.output_tokens + sum(slot.pieces for slot in earlier),
    )


def answered_runs(slots: Sequence[Slot]) -> int:
    """Return how many runs got an answer from the backend: those that wrote text."""
    return len({slot.writer for slot in slots if slot.pieces})


def slots_of_attempt(record: AttemptRecord, slots: Sequence[Slot]) -> Sequence[Slot]:
    """Return the slots that the attempt's runs wrote: since its start, after the outcome of the attempt before it.

    Copies of another turn's answer were written before, by a process whose clock may differ.
    """
    earlier_ends = [at for at, slot in enumerate(slots, 1) if slot.outcome and slot.outcome.attempt < record.number]
    later = [slot for slot in slots[max(earlier_ends, default=0) :] if slot.at >= record.started_at]
    return [slot for slot in later if not is_copy(slot.writer)]


def close_record(
    record: AttemptRecord,
    at: float,
    *,
    price: Price,
    requests: int,
    result: str,
    reason: str,
    busy_s: float | None = None,
    unseen: BackendWork = NOTHING_UNSEEN,
) -> AttemptRecord:
    """Close an attempt's record at `at`, in seconds since the epoch.

    `requests` counts the calls that the backend answered. It was busy for `busy_s`; None: since its first start. What
    runs that died may have used `unseen` is charged as far as the reservation covers it.
    """
    usage = record.progress.usage or TokenUsage()
    work = BackendWork(
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        written_tokens=usage.written_tokens,
        output_tokens=usage.output_tokens,
        requests=requests,
        busy_s=max(0.0, at - record.started_at) if busy_s is None else busy_s,
    )
    cost = attempt_cost(price, work)
    with_unseen = replace(
        work,
        input_tokens=work.input_tokens + unseen.input_tokens,
        output_tokens=work.output_tokens + unseen.output_tokens,
    )
    cost = max(cost, min(attempt_cost(price, with_unseen), record.charge.reserved))
    return replace(
        record,
        charge=record.charge.closed(cost, line=line_of(price)),
        progress=replace(record.progress, ended_at=at, usage=usage, result=result, reason=reason),
    )


def close_record_from_log(record: AttemptRecord, slots: Sequence[Slot], *, price: Price) -> AttemptRecord:
    """Close the record of a run that died: at the outcome in the log, else at the last slot that it wrote."""
    own = slots_of_attempt(record, slots)
    last = next((slot for slot in own if slot.outcome and slot.outcome.attempt == record.number), None)
    lost = AttemptOutcome(attempt=record.number, result="ended", message=RUN_LOST)
    outcome = (last and last.outcome) or lost
    usage = usage_from_log(record, own, outcome, last)
    measured = replace(record, progress=replace(record.progress, usage=usage))
    last_at = max((slot.at for slot in own), default=record.started_at)
    requests = max(answered_runs(own), bool(outcome.usage))
    died, known = (own, 0) if last is None else ([slot for slot in own if slot.writer != last.writer], 1)
    return close_record(
        measured,
        last_at,
        price=price,
        requests=requests,
        result=outcome.result,
        reason=outcome.message,
        unseen=unseen_work(record, died, runs=record.progress.deliveries - known),
    )


def usage_from_log(
    record: AttemptRecord, own: Sequence[Slot], outcome: AttemptOutcome, last: Slot | None
) -> TokenUsage:
    """Return the tokens of an attempt's runs, from their slots and the outcome in `last`."""
    if outcome.usage and not outcome.counted:
        return outcome.usage
    writer = next((slot.writer for slot in (last, *reversed(own)) if slot and (slot is last or slot.pieces)), "")
    pieces = sum(slot.pieces for slot in own if slot.writer == writer)
    earlier = [slot for slot in own if slot.writer != writer]
    return with_earlier_runs(outcome.counted or estimated_usage(record, pieces), earlier, record)
