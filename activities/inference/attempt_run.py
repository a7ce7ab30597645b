"""How does one call to a backend become text in the log and an outcome at its end?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from activities.inference.answer_writer import AnswerWriter
from activities.inference.attempt_meter import AttemptMeter
from activities.inference.log_writer import LogWriter, Superseded
from activities.inference.stream_reader import StreamReader
from activities.inference.task import AttemptTask
from activities.retrieve import with_private_data
from clients.backends.port import AnswerEnd, BackendCall, BackendClient, BackendError, TextPiece
from clients.clock import Clock
from domain import wire
from domain.content.sampling_parameters import supported_parameters
from domain.content.schema_tool_calls import ParsedAnswer
from domain.fleet.failure_classes import Failure, FailureKind, diagnose
from domain.fleet.retry_policy import Failover, GiveUp, RetryLater, retry_decision
from domain.log.events import AttemptOutcome
from state.fleet.backend_state import BackendStates
from state.turns.responses import TurnStore
from telemetry import chat_span, count_wait, current_traceparent

MAX_DELIVERIES = 5
"""An attempt whose worker died this often fails instead of running again."""

INTERRUPTED = f"The attempt was interrupted {MAX_DELIVERIES} times."
DEADLINE_PASSED = "The deadline has passed."
SCHEMA_MISMATCH = "The model's answer does not match the JSON schema of its function calls."

POLL_S = 0.5
"""How often an attempt checks whether its response has ended; cancel promises to close within 1 s."""

CUT_REASONS: Mapping[str, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer that the backend cut off is incomplete, by the backend's reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPace:
    """Seconds between slots, and seconds after which an attempt hands over."""

    flush_s: float
    handover_s: float


class AttemptRun:
    """One run of one attempt. It owns the task, the meter, the log writer and the answer writer."""

    def __init__(
        self,
        *,
        task: AttemptTask,
        meter: AttemptMeter,
        writer: LogWriter,
        turns: TurnStore,
        backend_states: BackendStates,
        client: BackendClient,
        clock: Clock,
        pace: StreamPace,
    ) -> None:
        self.task = task
        self.meter = meter
        self.writer = writer
        self.answer = AnswerWriter(writer, continues=task.continues_text, schema_tools=task.schema_tools)
        self.turns = turns
        self.backend_states = backend_states
        self.client = client
        self.clock = clock
        self.pace = pace

    async def run(self) -> AttemptOutcome:
        """Make the call and return its outcome, which is in the log by then. Raises Superseded."""
        if self.meter.record.deliveries > MAX_DELIVERIES:
            return await self.write_outcome("failed", code="server_error", message=INTERRUPTED)
        with chat_span(self.task.backend, self.task.response) as span:
            await self.record_start()
            try:
                outcome = await self.stream_answer()
            except BackendError as error:
                outcome = await self.write_failure(error)
            except Superseded:
                await self.record_end()
                raise
            else:
                await self.record_success()
            span.record(outcome, first_token_s=self.meter.first_token_s, seconds=self.meter.elapsed_s)
        return outcome

    async def record_start(self) -> None:
        """Count the call as in flight; a call that is never recorded as ended counts until the handover."""
        until = self.meter.called_at + self.pace.handover_s
        await self.backend_states.record_start(
            self.task.backend, self.meter.record.id, until=until, response=self.task.response.id
        )

    async def stream_answer(self) -> AttemptOutcome:
        """Stream the answer into the log until it ends or the time is up. Raises BackendError and Superseded."""
        call = await self.backend_call()
        if call.max_output_tokens <= 0:
            return await self.finish_answer(AnswerEnd(reason="length", usage=None))
        await self.client.authenticate()
        self.meter.start_call()
        async with StreamReader(self.client, call, self.clock) as stream:
            try:
                end = await self.write_pieces(stream)
            finally:
                self.meter.count_untaken(await stream.stop(), was_cut=stream.was_cut)
        return await (self.finish_answer(end) if end else self.stop_at_limit())

    async def write_pieces(self, stream: StreamReader) -> AnswerEnd | None:
        """Write the pieces into the log as they arrive; return the answer's end, or None where the time is up."""
        while (left_s := self.ends_at - self.clock.now()) > 0:
            pieces = await stream.take(within_s=min(POLL_S, left_s, self.hold_left_s(stream)))
            self.meter.count(pieces)
            await self.check_opened(stream)
            await self.answer.write(pieces)
            if end := answer_end(pieces):
                return end
            if pieces:
                await stream.wait_for_end(within_s=self.pace.flush_s)
        return None

    async def backend_call(self) -> BackendCall:
        task, response, partial = self.task, self.task.response, self.answer.partial
        history = await self.turns.history(response)
        private_data = await self.turns.retrieved_context.text_or_missing(response)
        parameters = supported_parameters(response.options.sampling.parameters, task.capabilities)
        return BackendCall(
            instructions=response.options.instructions,
            items=with_private_data(history, private_data),
            sampling=replace(response.options.sampling, parameters=parameters),
            max_output_tokens=task.output_tokens - (self.writer.log.pieces if partial else 0),
            partial=partial,
            traceparent=current_traceparent() or response.traceparent,
            tools=response.options.tool_config,
            by_schema=task.calls_tools_by_schema,
        )

    @property
    def ends_at(self) -> float:
        """When the run ends even if the answer has not: the reservation pays for `limit_s` seconds at most."""
        handover_s, limit_s = self.pace.handover_s, self.task.limit_s
        run_s = handover_s if limit_s is None else min(limit_s, handover_s)
        return min(self.meter.called_at + run_s, self.task.response.deadline_at)

    def hold_left_s(self, stream: StreamReader) -> float:
        """Return for how many seconds more the backend may hold the request before it accepts it."""
        if self.task.hold_s is None or stream.opened_at is not None:
            return math.inf
        return max(0.0, self.meter.called_at + self.task.hold_s - self.clock.now())

    async def check_opened(self, stream: StreamReader) -> None:
        """Record that a cold backend is up. Raises BackendError where it has held the request for too long."""
        if stream.opened_at is None:
            if not self.hold_left_s(stream):
                raise BackendError(Failure(kind=FailureKind.HELD))
        elif self.task.is_cold and self.meter.opened_at is None:
            self.meter.opened_at = stream.opened_at
            await self.backend_states.record_opening(self.task.backend, asked_at=self.meter.called_at)

    async def finish_answer(self, end: AnswerEnd) -> AttemptOutcome:
        """Write the end of the answer, which is complete or was cut off by the backend."""
        self.meter.usage = end.usage
        code = CUT_REASONS.get(end.reason, "")
        answer = self.answer.parsed_answer(end)
        is_mismatch = answer is None and not code
        outcome = AttemptOutcome(
            attempt=self.task.number,
            result="failed" if is_mismatch else "done",
            code="server_error" if is_mismatch else code,
            message=SCHEMA_MISMATCH if is_mismatch else "",
            usage=self.answer.turn_usage(end.usage),
            counted=self.meter.usage_or_estimate,
        )
        if is_mismatch:
            await self.writer.write((), outcome=outcome)
        else:
            await self.answer.finish(outcome, answer or ParsedAnswer(), is_complete=not code)
        return outcome

    async def stop_at_limit(self) -> AttemptOutcome:
        """Hand over, or fail at the deadline.

        Raises BackendError where `limit_s` was too short for any text: the next attempt would not get further.
        """
        if self.clock.now() >= self.task.response.deadline_at:
            return await self.write_outcome("failed", code="server_error", message=DEADLINE_PASSED)
        if not self.meter.pieces and self.task.limit_s is not None:
            raise BackendError(Failure(kind=FailureKind.READ_TIMEOUT))
        return await self.write_outcome("handover")

    async def write_failure(self, error: BackendError) -> AttemptOutcome:
        """Record the failure in the backend's state, decide what follows it, and write that as the outcome."""
        task, response, now = self.task, self.task.response, self.clock.now()
        diagnosis = diagnose(error.failure, task.backend.signatures, now=now)
        await self.backend_states.record_failure(
            task.backend, diagnosis, self.meter.record.id, asked_at=self.meter.called_at
        )
        decision = retry_decision(
            diagnosis,
            attempts=task.failures.get(diagnosis.failure_class, task.retries) + 1,
            elapsed_s=now - response.created_at,
            deadline_s=response.deadline_at - response.created_at,
            has_alternative=task.has_alternative,
            random=self.clock.fraction(),
        )
        if isinstance(decision, RetryLater):
            count_wait(task.backend, decision.delay_s, reason=diagnosis.failure_class)
        outcome = replace(outcome_of(task, decision), failure_class=diagnosis.failure_class)
        await self.writer.write((), outcome=outcome)
        return outcome

    async def record_success(self) -> None:
        """Learn from a call that did not fail; one without an observation only counts as ended."""
        observation = self.meter.observation()
        if observation:
            await self.backend_states.record_success(self.task.backend, observation)
        else:
            await self.record_end()

    async def record_end(self) -> None:
        """Count the call as ended, and learn nothing from it."""
        await self.backend_states.record_end(self.task.backend, self.meter.record.id)

    async def write_outcome(self, result: wire.InferResult, *, code: str = "", message: str = "") -> AttemptOutcome:
        outcome = AttemptOutcome(attempt=self.task.number, result=result, code=code, message=message)
        await self.writer.write((), outcome=outcome)
        return outcome


def answer_end(pieces: Sequence[TextPiece | AnswerEnd]) -> AnswerEnd | None:
    return pieces[-1] if pieces and isinstance(pieces[-1], AnswerEnd) else None


def outcome_of(task: AttemptTask, decision: RetryLater | Failover | GiveUp) -> AttemptOutcome:
    match decision:
        case RetryLater(delay_s=delay_s, reason=reason):
            return AttemptOutcome(attempt=task.number, result="wait", message=reason, delay_s=delay_s)
        case Failover(reason=reason):
            return AttemptOutcome(attempt=task.number, result=wire.FAILOVER, message=reason)
        case GiveUp(code=code, reason=reason):
            return AttemptOutcome(attempt=task.number, result="failed", code=code, message=reason)
