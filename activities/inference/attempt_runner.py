"""How does one call to a backend become text in the log and an outcome at its end?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from activities.inference.answer_writer import AnswerWriter
from activities.inference.attempt_meter import AttemptMeter
from activities.inference.log_writer import LogWriter, Superseded
from activities.inference.stream_reader import StreamReader
from activities.inference.task import AttemptTask
from activities.retrieve import with_private_data
from clients.backends.port import AnswerEnd, BackendCall, BackendClient, BackendError
from clients.clock import Clock
from domain.content.sampling_parameters import supported_parameters
from domain.content.schema_tool_calls import ParsedAnswer
from domain.content.tools import ToolConfig
from domain.fleet.catalog import Capability, ContinuationMode
from domain.fleet.failure_classes import Failure, FailureKind, diagnose
from domain.fleet.retry_policy import Failover, GiveUp, RetryLater, retry_decision
from domain.log.events import AttemptOutcome
from domain.log.transcript import Transcript
from state.fleet.backend_state import BackendStates
from state.turns.responses import TurnStore
from telemetry import count_wait, current_traceparent

NOT_OF_THE_FORM = "The model did not answer in the form in which functions are called."

LOOK_S = 0.5
"""How often a waiting attempt looks whether its response has ended; cancel promises to close within 1 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPace:
    """Seconds between slots, and seconds after which an attempt hands over."""

    flush_s: float
    handover_s: float


class AttemptRunner:
    """Asks a backend and shows what it says; a failure becomes the outcome that it calls for.

    Raises Superseded where another writer takes over.
    """

    def __init__(
        self,
        *,
        turns: TurnStore,
        beliefs: BackendStates,
        clients: Mapping[str, BackendClient],
        clock: Clock,
        pace: StreamPace,
    ) -> None:
        self.turns = turns
        self.beliefs = beliefs
        self.clients = clients
        self.clock = clock
        self.pace = pace

    async def outcome(self, task: AttemptTask, writer: LogWriter, meter: AttemptMeter) -> AttemptOutcome:
        """Make the call; its outcome stands in the log when this returns."""
        until = meter.asked_at + self.pace.handover_s
        await self.beliefs.started(task.backend, meter.record.id, until=until, response=task.response.id)
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

    async def forget(self, task: AttemptTask, attempt: str) -> None:
        """Count the call as ended, and learn nothing from it."""
        await self.beliefs.ended(task.backend, attempt)

    async def answer(self, task: AttemptTask, writer: LogWriter, meter: AttemptMeter) -> AttemptOutcome:
        """Stream the answer into the log until it ends, or until it is time to hand over."""
        continues = task.backend.continues is not ContinuationMode.NO
        showing = AnswerWriter(writer, continues=continues, by_schema=by_schema(task))
        call = await self.call(task, writer.log, showing)
        if call.max_output_tokens <= 0:
            return await done(task, showing, AnswerEnd(reason="length", usage=None), meter)
        await self.clients[task.backend.name].authenticate()
        meter.asked_at, meter.sent = self.clock.now(), True
        until = self.until(task, meter)
        async with StreamReader(self.clients[task.backend.name], call, self.clock) as intake:
            while (now := self.clock.now()) < until:
                pieces = await intake.take(within_s=min(LOOK_S, until - now, self.hold_left_s(task, intake, meter)))
                meter.count(pieces)
                await self.look(task, intake, meter)
                await showing.show(pieces)
                if pieces and isinstance(end := pieces[-1], AnswerEnd):
                    return await done(task, showing, end, meter)
                if pieces:
                    await intake.ended(within_s=self.pace.flush_s)
        return await self.out_of_time(task, writer, meter)

    def until(self, task: AttemptTask, meter: AttemptMeter) -> float:
        """Return when the attempt ends though the answer has not: what was reserved pays for no more than its limit."""
        limit_s = self.pace.handover_s if task.limit_s is None else min(task.limit_s, self.pace.handover_s)
        return min(meter.asked_at + limit_s, task.response.deadline_at)

    def hold_left_s(self, task: AttemptTask, intake: StreamReader, meter: AttemptMeter) -> float:
        """Return how long the backend may still take to let the request in."""
        if task.hold_s is None or intake.opened_at is not None:
            return math.inf
        return max(0.0, meter.asked_at + task.hold_s - self.clock.now())

    async def look(self, task: AttemptTask, intake: StreamReader, meter: AttemptMeter) -> None:
        """Learn that a cold backend is up. Raises BackendError where it has held the request for too long."""
        if intake.opened_at is None:
            if not self.hold_left_s(task, intake, meter):
                raise BackendError(Failure(kind=FailureKind.HELD))
        elif task.cold and meter.opened_at is None:
            meter.opened_at = intake.opened_at
            await self.beliefs.opened(task.backend, asked_at=meter.asked_at)

    async def call(self, task: AttemptTask, log: Transcript, showing: AnswerWriter) -> BackendCall:
        response = task.response
        shown = log.pieces if showing.partial else 0
        return BackendCall(
            instructions=response.instructions,
            items=with_private_data(await self.turns.history(response), await self.turns.given.decided(response)),
            sampling=replace(
                response.sampling, parameters=supported_parameters(response.sampling.parameters, task.abilities)
            ),
            max_output_tokens=task.output_tokens - shown,
            partial=showing.partial,
            traceparent=current_traceparent() or response.traceparent,
            form=response.tool_config,
            by_schema=Capability.TOOLS not in task.abilities,
        )

    async def out_of_time(self, task: AttemptTask, writer: LogWriter, meter: AttemptMeter) -> AttemptOutcome:
        """Hand over, or end with the deadline. A limit that let nothing be said would let nothing be said again."""
        late = self.clock.now() >= task.response.deadline_at
        if not late and not meter.said and task.limit_s is not None:
            raise BackendError(Failure(kind=FailureKind.READ_TIMEOUT))
        outcome = (
            AttemptOutcome(
                attempt=task.number, result="failed", code="server_error", message="The deadline has passed."
            )
            if late
            else AttemptOutcome(attempt=task.number, result="handover")
        )
        await writer.write((), outcome=outcome)
        return outcome

    async def failure(self, task: AttemptTask, error: BackendError, meter: AttemptMeter) -> AttemptOutcome:
        """Decide what follows a failed call."""
        now, response = self.clock.now(), task.response
        diagnosis = diagnose(error.failure, task.backend.signatures, now=now)
        await self.beliefs.failed(task.backend, diagnosis, meter.record.id, asked_at=meter.asked_at)
        following = retry_decision(
            diagnosis,
            attempts=task.failures.get(diagnosis.failure_class, task.retries) + 1,
            elapsed_s=now - response.created_at,
            deadline_s=response.deadline_at - response.created_at,
            has_alternative=task.has_alternative,
            random=self.clock.fraction(),
        )
        if isinstance(following, RetryLater):
            count_wait(task.backend, following.delay_s, reason=diagnosis.failure_class)
        return replace(outcome_of(task, following), posture=diagnosis.failure_class)


CUTS: Mapping[str, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""What cuts an answer off, and why it is then incomplete."""


async def done(task: AttemptTask, showing: AnswerWriter, end: AnswerEnd, meter: AttemptMeter) -> AttemptOutcome:
    """Close the answer, whole or cut at its limit."""
    meter.usage = end.usage
    code = CUTS.get(end.reason, "")
    cut = bool(code)
    said = showing.whole_answer(end)
    usage = showing.usage(end.usage)
    if said is None and not cut:
        outcome = AttemptOutcome(
            attempt=task.number,
            result="failed",
            code="server_error",
            message=NOT_OF_THE_FORM,
            usage=usage,
            counted=meter.counted,
        )
        await showing.writer.write((), outcome=outcome)
        return outcome
    outcome = AttemptOutcome(attempt=task.number, result="done", code=code, usage=usage, counted=meter.counted)
    await showing.end(outcome, said or ParsedAnswer(), whole=not cut)
    return outcome


def by_schema(task: AttemptTask) -> ToolConfig | None:
    """Return the form that the model must be held to because it can call no functions by itself."""
    form = task.response.tool_config
    return form if form.callable and Capability.TOOLS not in task.abilities else None


def outcome_of(task: AttemptTask, following: RetryLater | Failover | GiveUp) -> AttemptOutcome:
    match following:
        case RetryLater(delay_s=delay_s, reason=reason):
            return AttemptOutcome(attempt=task.number, result="wait", message=reason, delay_s=delay_s)
        case Failover(reason=reason):
            return AttemptOutcome(attempt=task.number, result="elsewhere", message=reason)
        case GiveUp(code=code, reason=reason):
            return AttemptOutcome(attempt=task.number, result="failed", code=code, message=reason)
