"""How does one call to a backend become text in the log and an outcome at its end?"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from activities.attempt import Task
from activities.intake import Intake
from activities.log_writer import LogWriter, Superseded
from activities.meter import Meter
from activities.showing import Showing
from clients.backends import BackendClient, BackendError, Call, End
from clients.beliefs import Beliefs
from clients.clock import Clock
from clients.turns import Turns
from domain.beliefs import without
from domain.fleet import Continuation
from domain.log import Outcome
from domain.patience import Elsewhere, GiveUp, Wait, next_step
from domain.postures import diagnose
from domain.transcript import Transcript
from telemetry import current_traceparent

LOOK_S = 0.5
"""How often a waiting attempt looks whether its response has ended; cancel promises to close within 1 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds between slots, and seconds after which an attempt hands over."""

    flush_s: float
    handover_s: float


class Answering:
    """Asks a backend and shows what it says; a failure becomes the outcome that it calls for.

    Raises Superseded where another writer takes over.
    """

    def __init__(
        self, *, turns: Turns, beliefs: Beliefs, clients: Mapping[str, BackendClient], clock: Clock, pace: Pace
    ) -> None:
        self.turns = turns
        self.beliefs = beliefs
        self.clients = clients
        self.clock = clock
        self.pace = pace

    async def outcome(self, task: Task, writer: LogWriter, meter: Meter) -> Outcome:
        """Make the call; its outcome stands in the log when this returns."""
        await self.beliefs.started(task.backend, meter.record.id, until=meter.asked_at + self.pace.handover_s)
        try:
            outcome = await self.answer(task, writer, meter)
        except BackendError as error:
            outcome = await self.failure(task, error, meter)
            await writer.write((), outcome=outcome)
            return outcome
        except Superseded:
            await self.forget(task, meter.record.id)
            raise
        seen = meter.observation()
        await (self.beliefs.succeeded(task.backend, seen) if seen else self.forget(task, meter.record.id))
        return outcome

    async def forget(self, task: Task, attempt: str) -> None:
        """Count the call as ended, and learn nothing from it."""
        await self.beliefs.learn(
            task.backend, lambda belief: replace(belief, in_flight=without(belief.in_flight, attempt))
        )

    async def answer(self, task: Task, writer: LogWriter, meter: Meter) -> Outcome:
        """Stream the answer into the log until it ends, or until it is time to hand over."""
        showing = Showing(writer, continues=task.backend.continues is not Continuation.NO)
        call = await self.call(task, writer.log, showing)
        if call.max_output_tokens <= 0:
            return await done(task, showing, End(reason="length", usage=None), meter)
        until = min(self.clock.now() + self.pace.handover_s, task.response.deadline_at)
        async with Intake(self.clients[task.backend.name], call) as intake:
            while self.clock.now() < until:
                pieces = await intake.take(within_s=LOOK_S)
                meter.count(pieces)
                await showing.show(pieces)
                if pieces and isinstance(end := pieces[-1], End):
                    return await done(task, showing, end, meter)
                if pieces:
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
            traceparent=current_traceparent() or response.traceparent,
        )

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


async def done(task: Task, showing: Showing, end: End, meter: Meter) -> Outcome:
    """Close the answer, whole or cut at its limit."""
    meter.usage = end.usage
    cut = end.reason == "length"
    code = "max_output_tokens" if cut else ""
    outcome = Outcome(attempt=task.number, result="done", code=code, usage=showing.usage(end.usage))
    await showing.end(outcome, whole=not cut)
    return outcome


def outcome_of(task: Task, following: Wait | Elsewhere | GiveUp) -> Outcome:
    match following:
        case Wait(delay_s=delay_s, reason=reason):
            return Outcome(attempt=task.number, result="wait", message=reason, delay_s=delay_s)
        case Elsewhere(reason=reason):
            return Outcome(attempt=task.number, result="elsewhere", message=reason)
        case GiveUp(code=code, reason=reason):
            return Outcome(attempt=task.number, result="failed", code=code, message=reason)
