"""What is one attempt at one backend, safe to run twice and safe to outlive?"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import cast

from activities.intake import Intake
from activities.log_writer import LogWriter, Superseded
from activities.meter import Meter, closed_at
from activities.showing import Showing
from clients.backends import BackendClient, BackendError, Call, End
from clients.beliefs import Beliefs
from clients.clock import Clock
from clients.ledger import Ledger
from clients.turns import Turns
from domain import wire
from domain.beliefs import Observation
from domain.fleet import Backend, Continuation, Fleet
from domain.log import Outcome
from domain.money import Attempt, AttemptStatus
from domain.owners import Owner
from domain.patience import Elsewhere, GiveUp, Wait, next_step
from domain.postures import diagnose
from domain.prices import Price
from domain.transcript import Transcript
from domain.turns import Response
from telemetry import chat_span

LOOK_S = 0.5
"""How often a waiting attempt looks whether its response has ended; cancel promises to close within 1 s."""

MOST_DELIVERIES = 5
"""So often an attempt may be delivered again (its worker died with it) before it is given up."""

ENDED: wire.InferredWire = {"result": "ended", "code": "", "message": "", "delay_s": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds between slots, and seconds after which an attempt hands over."""

    flush_s: float
    handover_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What this attempt is to do."""

    owner: Owner
    response: Response
    number: int
    backend: Backend
    worst_cost: Decimal
    output_tokens: int
    retries: int
    has_alternative: bool


class Infer:
    """One attempt: its text goes into the log as it comes, its outcome with the last of it."""

    def __init__(
        self,
        *,
        turns: Turns,
        ledger: Ledger,
        beliefs: Beliefs,
        fleet: Fleet,
        prices: Mapping[str, Price],
        clients: Mapping[str, BackendClient],
        clock: Clock,
        pace: Pace,
    ) -> None:
        self.turns = turns
        self.ledger = ledger
        self.beliefs = beliefs
        self.fleet = fleet
        self.prices = prices
        self.clients = clients
        self.clock = clock
        self.pace = pace

    async def infer(self, given: wire.InferWire) -> wire.InferredWire:
        task = await self.task(given)
        log = await self.turns.transcript(task.owner, task.response.id)
        known = known_outcome(log, task.number)
        if known:
            await self.close_known(task, log)
            return known
        writer = LogWriter(self.turns, self.clock, owner=task.owner, response_id=task.response.id, log=log)
        try:
            await writer.take_over()
            return await self.attempt(task, writer)
        except Superseded:
            return await self.follow(task, writer.log)

    async def task(self, given: wire.InferWire) -> Task:
        owner = Owner(tenant=given["tenant"], subject=given["subject"])
        return Task(
            owner=owner,
            response=await self.turns.read(owner, given["response"]),
            number=given["attempt"],
            backend=self.fleet.backends[given["backend"]],
            worst_cost=Decimal(given["worst_cost"]),
            output_tokens=given["output_tokens"],
            retries=given["retries"],
            has_alternative=given["has_alternative"],
        )

    async def attempt(self, task: Task, writer: LogWriter) -> wire.InferredWire:
        """Open the record, ask the backend, write what it came to, close the record."""
        meter = Meter(self.clock, price=self.price(task), record=await self.opened(task))
        try:
            outcome = await self.outcome(task, writer, meter)
        except Superseded:
            await self.ledger.close_attempt(task.owner, meter.closed("ended", "another writer took over"))
            raise
        await self.ledger.close_attempt(task.owner, meter.closed(outcome.result, outcome.message))
        return inferred(outcome)

    async def opened(self, task: Task) -> Attempt:
        fresh = Attempt(
            response=task.response.id,
            subject=task.owner.subject,
            number=task.number,
            backend=task.backend.name,
            price=task.backend.price,
            reserved=task.worst_cost,
            started_at=self.clock.now(),
        )
        return await self.ledger.open_attempt(task.owner, fresh)

    async def outcome(self, task: Task, writer: LogWriter, meter: Meter) -> Outcome:
        if meter.record.deliveries > MOST_DELIVERIES:
            reason = f"The attempt was broken off {MOST_DELIVERIES} times."
            outcome = Outcome(attempt=task.number, result="failed", code="server_error", message=reason)
            await writer.write((), outcome=outcome)
            return outcome
        await self.beliefs.started(task.backend, meter.record.id, until=meter.asked_at + self.pace.handover_s)
        with chat_span(task.backend, task.response) as span:
            outcome = await self.called(task, writer, meter)
            seconds = self.clock.now() - meter.asked_at
            span.record(outcome, first_token_s=meter.first_token_s, seconds=seconds)
        return outcome

    async def called(self, task: Task, writer: LogWriter, meter: Meter) -> Outcome:
        try:
            outcome = await self.answer(task, writer, meter)
        except BackendError as error:
            outcome = await self.failure(task, error, meter)
            await writer.write((), outcome=outcome)
            return outcome
        await self.learn(task, meter)
        return outcome

    async def learn(self, task: Task, meter: Meter) -> None:
        usage = meter.usage
        if usage is None or meter.first_token_at is None:
            return
        seen = Observation(
            attempt=meter.record.id,
            started_at=meter.asked_at,
            first_token_at=meter.first_token_at,
            ended_at=self.clock.now(),
            input_tokens=usage.input_tokens,
            cached_tokens=usage.cached_tokens,
            output_tokens=usage.output_tokens,
        )
        await self.beliefs.succeeded(task.backend, seen)

    async def answer(self, task: Task, writer: LogWriter, meter: Meter) -> Outcome:
        """Stream the answer into the log until it ends, or until it is time to hand over."""
        continues = task.backend.continues is not Continuation.NO
        showing = Showing(writer, continues=continues)
        call = await self.call(task, writer.log, showing)
        until = min(self.clock.now() + self.pace.handover_s, task.response.deadline_at)
        if call.max_output_tokens <= 0:
            return await self.done(task, showing, End(reason="length", usage=None), meter)
        async with Intake(self.clients[task.backend.name], call) as intake:
            while self.clock.now() < until:
                pieces = await intake.take(within_s=LOOK_S)
                if not pieces:
                    await writer.check()
                    continue
                meter.count(pieces)
                end = pieces[-1]
                await showing.show(pieces)
                if isinstance(end, End):
                    return await self.done(task, showing, end, meter)
                await intake.ended(within_s=self.pace.flush_s)
        return await self.out_of_time(task, writer)

    async def call(self, task: Task, log: Transcript, showing: Showing) -> Call:
        response = task.response
        shown = log.pieces if showing.partial else 0
        return Call(
            instructions=response.instructions,
            items=await self.turns.history(response),
            sampling=response.sampling,
            max_output_tokens=task.output_tokens - shown,
            partial=showing.partial,
            traceparent=response.traceparent,
        )

    async def done(self, task: Task, showing: Showing, end: End, meter: Meter) -> Outcome:
        meter.usage = end.usage
        cut = end.reason == "length"
        outcome = Outcome(
            attempt=task.number,
            result="done",
            code="max_output_tokens" if cut else "",
            usage=showing.usage(end.usage),
        )
        await showing.end(outcome, whole=not cut)
        return outcome

    async def out_of_time(self, task: Task, writer: LogWriter) -> Outcome:
        late = self.clock.now() >= task.response.deadline_at
        outcome = (
            Outcome(attempt=task.number, result="failed", code="server_error", message="The deadline has passed.")
            if late
            else Outcome(attempt=task.number, result="handover")
        )
        await writer.write((), outcome=outcome)
        return outcome

    async def failure(self, task: Task, error: BackendError, meter: Meter) -> Outcome:
        """Decide what follows a failed call."""
        now, response = self.clock.now(), task.response
        diagnosis = diagnose(error.failure, task.backend.signatures, now=now)
        await self.beliefs.failed(task.backend, diagnosis, meter.record.id)
        following = next_step(
            diagnosis,
            attempts=task.retries + 1,
            elapsed_s=now - response.created_at,
            deadline_s=response.deadline_at - response.created_at,
            has_alternative=task.has_alternative,
            random=self.clock.fraction(),
        )
        return outcome_of(task, following)

    async def follow(self, task: Task, log: Transcript) -> wire.InferredWire:
        """Another writer took over: wait for what it comes to, and give that as our own result."""
        until = self.clock.now() + self.pace.handover_s
        while self.clock.now() < until:
            log = await self.turns.transcript(task.owner, task.response.id, log)
            known = known_outcome(log, task.number)
            if known:
                return known
            await self.turns.changed(task.response.id, within_s=LOOK_S)
        return {"result": "handover", "code": "", "message": "", "delay_s": 0.0}

    async def close_known(self, task: Task, log: Transcript) -> None:
        """Close the record that a run left open which died right after it wrote its outcome."""
        for record in await self.ledger.attempts(task.owner, task.response.id):
            if record.number == task.number and record.status is AttemptStatus.OPEN and log.outcome:
                counted = replace(record, usage=log.outcome.usage)
                result, reason = log.outcome.result, log.outcome.message
                closed = closed_at(counted, log.last_at, price=self.price(task), result=result, reason=reason)
                await self.ledger.close_attempt(task.owner, closed)

    def price(self, task: Task) -> Price:
        return self.prices[task.backend.price]


def known_outcome(log: Transcript, number: int) -> wire.InferredWire | None:
    """Return what the log says of an attempt already: its response has ended, or an outcome is written."""
    if log.ending:
        return ENDED
    if log.outcome and log.outcome.attempt == number:
        return inferred(log.outcome)
    return None


def inferred(outcome: Outcome) -> wire.InferredWire:
    return {
        "result": cast("wire.InferResult", outcome.result),
        "code": outcome.code,
        "message": outcome.message,
        "delay_s": outcome.delay_s,
    }


def outcome_of(task: Task, following: Wait | Elsewhere | GiveUp) -> Outcome:
    match following:
        case Wait(delay_s=delay_s, reason=reason):
            return Outcome(attempt=task.number, result="wait", message=reason, delay_s=delay_s)
        case Elsewhere(reason=reason):
            return Outcome(attempt=task.number, result="elsewhere", message=reason)
        case GiveUp(code=code, reason=reason):
            return Outcome(attempt=task.number, result="failed", code=code, message=reason)
