"""How is an attempt safe to run twice, and safe to outlive?

It writes only as long as no other run has taken the log over, and its outcome stands in the log before it is given: a
run that comes later finds it there, and a run that was taken over waits for what its successor comes to.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import cast

from activities.inference.attempt_billing import AttemptBilling
from activities.inference.attempt_meter import AttemptMeter, of_attempt
from activities.inference.attempt_runner import LOOK_S, AttemptRunner
from activities.inference.log_writer import LogWriter, Superseded
from activities.inference.task import AttemptTask
from clients.clock import Clock
from domain import wire
from domain.errors import Exhausted
from domain.fleet.catalog import Fleet
from domain.log.events import AttemptOutcome, Slot
from domain.log.transcript import Transcript
from domain.money.ledger_records import AttemptRecord, AttemptStatus
from domain.money.prices import Price
from state.turns.responses import TurnStore
from telemetry import chat_span

MOST_DELIVERIES = 5
"""So often an attempt may be delivered again (its worker died with it) before it is given up."""

NO_COVER = "insufficient_quota"

OVERTAKEN = "another writer took over"

ENDED: wire.InferredWire = {"result": "ended", "code": "", "message": "", "delay_s": 0.0}
HANDOVER: wire.InferredWire = {"result": "handover", "code": "", "message": "", "delay_s": 0.0}


class Infer:
    """One attempt: its text goes into the log as it comes, its outcome with the last of it."""

    def __init__(
        self,
        *,
        turns: TurnStore,
        charging: AttemptBilling,
        answering: AttemptRunner,
        fleet: Fleet,
        prices: Mapping[str, Price],
        clock: Clock,
    ) -> None:
        self.turns = turns
        self.charging = charging
        self.ledger = charging.ledger
        self.answering = answering
        self.fleet = fleet
        self.prices = prices
        self.clock = clock

    async def infer(self, given: wire.InferWire) -> wire.InferredWire:
        task = await self.task(given)
        log = await self.turns.transcript(task.owner, task.response.id)
        known = known_outcome(log, task.number)
        if known:
            await self.close_left_open(task)
            return known
        writer = LogWriter(
            self.turns, self.clock, owner=task.owner, response_id=task.response.id, log=log, attempt=task.number
        )
        try:
            await writer.take_over()
            return await self.attempt(task, writer)
        except Superseded:
            return await self.follow(task, writer.log)

    async def task(self, given: wire.InferWire) -> AttemptTask:
        owner = wire.owner_from_wire(given)
        backend = self.fleet.backends[given["backend"]]
        return AttemptTask(
            owner=owner,
            response=await self.turns.read(owner, given["response"]),
            number=given["attempt"],
            backend=backend,
            abilities=self.fleet.models[backend.model].capabilities,
            worst_cost=Decimal(given["worst_cost"]),
            output_tokens=given["output_tokens"],
            retries=given["retries"],
            has_alternative=given["has_alternative"],
            failures=given.get("failures", {}),
            cold=given.get("cold", False),
            hold_s=given.get("hold_s"),
            limit_s=given.get("limit_s"),
            input_tokens=given.get("input_tokens", 0),
        )

    async def attempt(self, task: AttemptTask, writer: LogWriter) -> wire.InferredWire:
        """Open the attempt's record, make the call, close the record. No cover, no attempt."""
        try:
            opened = await self.charging.open(task, at=self.clock.now())
        except Exhausted as error:
            return await self.uncovered(task, writer, str(error))
        earlier = await self.earlier(task, opened.record)
        meter = AttemptMeter(self.clock, price=self.price(task), record=opened.record, earlier=earlier)
        try:
            outcome = await self.outcome(task, writer, meter)
        except Superseded:
            await self.charging.close(
                task, opened, meter, AttemptOutcome(attempt=task.number, result="ended", message=OVERTAKEN)
            )
            raise
        await self.charging.close(task, opened, meter, outcome)
        return inferred(outcome)

    async def earlier(self, task: AttemptTask, record: AttemptRecord) -> Sequence[Slot]:
        """Return what runs of the attempt wrote that died; nobody writes there any more."""
        if record.deliveries == 1:
            return ()
        return of_attempt(record, await self.turns.slots(task.owner, task.response.id))

    async def uncovered(self, task: AttemptTask, writer: LogWriter, reason: str) -> wire.InferredWire:
        """End a turn that no budget covers any more; what runs before this one cost stands."""
        outcome = AttemptOutcome(attempt=task.number, result="failed", code=NO_COVER, message=reason)
        await writer.write((), outcome=outcome)
        await self.close_left_open(task)
        return inferred(outcome)

    async def outcome(self, task: AttemptTask, writer: LogWriter, meter: AttemptMeter) -> AttemptOutcome:
        if meter.record.deliveries > MOST_DELIVERIES:
            reason = f"The attempt was broken off {MOST_DELIVERIES} times."
            outcome = AttemptOutcome(attempt=task.number, result="failed", code="server_error", message=reason)
            await writer.write((), outcome=outcome)
            return outcome
        with chat_span(task.backend, task.response) as span:
            outcome = await self.answering.outcome(task, writer, meter)
            seconds = self.clock.now() - meter.asked_at
            span.record(outcome, first_token_s=meter.first_token_s, seconds=seconds)
        return outcome

    async def follow(self, task: AttemptTask, log: Transcript) -> wire.InferredWire:
        """Wait for what the run that took over comes to, and give that as our own result."""
        until = self.clock.now() + self.answering.pace.handover_s
        while self.clock.now() < until:
            log = await self.turns.transcript(task.owner, task.response.id, log)
            known = known_outcome(log, task.number)
            if known:
                return known
            await self.turns.changed(task.response.id, within_s=LOOK_S)
        return HANDOVER

    async def close_left_open(self, task: AttemptTask) -> None:
        """Close the record that a run left open which died before it could."""
        for record in await self.ledger.attempts(task.owner, task.response.id):
            if record.number == task.number and record.status is AttemptStatus.OPEN:
                slots = await self.turns.slots(task.owner, task.response.id)
                await self.charging.close_from_log(task, record, slots, price=self.price(task))
                await self.answering.forget(task, record.id)

    def price(self, task: AttemptTask) -> Price:
        return self.prices[task.backend.price]


def known_outcome(log: Transcript, number: int) -> wire.InferredWire | None:
    """Return what the log says of an attempt already: its response has ended, or an outcome is written.

    A delivery so late that a later attempt has come to its outcome is asked by nobody any more.
    """
    if log.ending:
        return ENDED
    if log.outcome and log.outcome.attempt == number:
        return inferred(log.outcome)
    return HANDOVER if log.outcome and log.outcome.attempt > number else None


def inferred(outcome: AttemptOutcome) -> wire.InferredWire:
    return {
        "result": cast("wire.InferResult", outcome.result),
        "code": outcome.code,
        "message": outcome.message,
        "delay_s": outcome.delay_s,
        "posture": outcome.posture,
    }
