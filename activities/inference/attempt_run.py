"""How does one call to a backend become text in the log and an outcome at its end?"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from copy import replace

from msgspec import Struct

from activities.inference.answer_checks import escalated, problem_of
from activities.inference.answer_writer import AnswerWriter
from activities.inference.attempt_meter import AttemptMeter
from activities.inference.failed_attempt import log_failure, outcome_of
from activities.inference.held_rounds import keep_for_next_round
from activities.inference.log_writer import LogWriter, Superseded
from activities.inference.output_cap import OUTPUT_LIMIT, capped_answer, learned_usage
from activities.inference.predictions import with_prediction
from activities.inference.stream_reader import StreamReader, answer_end
from activities.inference.task import AttemptTask
from activities.retrieve import with_private_data
from clients.backends.port import AnswerEnd, BackendCall, BackendClient, BackendError
from clients.clock import Clock
from domain import wire
from domain.content.items import Item, ItemStatus
from domain.content.sampling_parameters import supported_parameters
from domain.content.schema_tool_calls import ParsedAnswer
from domain.fleet.backend_words import backend_words
from domain.fleet.failure_classes import Failure, FailureKind, diagnose
from domain.fleet.retry_policy import retry_decision
from domain.log.capped_answers import CappedAnswer
from domain.log.events import CALLS, AttemptOutcome, TokenUsage
from domain.log.transcript import closing_events
from state.fleet.answer_lengths import LearnedAnswerLengths
from state.fleet.backend_state import BackendStates
from state.turns.responses import TurnStore
from telemetry.chat import chat_span
from telemetry.spans import current_traceparent

MAX_DELIVERIES = 5
"""An attempt whose worker died this often fails instead of running again."""

INTERRUPTED = f"The attempt was interrupted {MAX_DELIVERIES} times."
NO_MEMORY = "Other turns have taken the KV memory of the backend meanwhile."
DEADLINE_PASSED = "The deadline has passed."
POLL_S = 0.5
"""How often an attempt checks whether its response has ended; cancel promises to close within 1 s."""

CUT_REASONS: Mapping[str, str] = {"length": OUTPUT_LIMIT, "content_filter": "content_filter"}
"""Why an answer that the backend cut off is incomplete, by the backend's reason."""


class StreamPace(Struct, frozen=True, kw_only=True):
    """Seconds between slots, and seconds after which an attempt hands over."""

    flush_s: float
    handover_s: float


class AttemptRun:
    """One run of one attempt. It owns the task, the meter, the log writer and the answer writer."""

    def __init__(
        self,
        *,
        task: AttemptTask,
        history: Sequence[Item],
        meter: AttemptMeter,
        writer: LogWriter,
        turns: TurnStore,
        backend_states: BackendStates,
        answer_lengths: LearnedAnswerLengths,
        client: BackendClient,
        clock: Clock,
        pace: StreamPace,
    ) -> None:
        self.task = task
        self.history = history
        self.is_held, self.is_followed = task.is_held(history), not task.response.options.batch
        self.meter = meter
        self.writer = writer
        self.answer = AnswerWriter(
            writer,
            tools=task.tools,
            continues=task.continues_text,
            schema_tools=task.tools if self.is_held else None,
            calls_left=task.calls_left,
            asks=task.asks,
            top_logprobs=task.top_logprobs,
        )
        self.turns = turns
        self.backend_states = backend_states
        self.answer_lengths = answer_lengths
        self.client = client
        self.clock = clock
        self.pace = pace
        self.finish_reason, self.limit = "", task.output_tokens
        self.answer_usage: TokenUsage | None = None

    async def run(self) -> AttemptOutcome:
        """Make the call and return its outcome, which is in the log by then. Raises Superseded."""
        if self.meter.record.progress.deliveries > MAX_DELIVERIES:
            await self.record_end()
            return await self.write_outcome("failed", code="server_error", message=INTERRUPTED)
        with chat_span(self.task.backend, self.task.response, max_tokens=self.task.output_tokens) as span:
            if not await self.record_start():
                return await self.write_outcome("handover", message=NO_MEMORY)
            try:
                outcome = await self.stream_answer()
            except BackendError as error:
                outcome = await self.write_failure(error)
            except Superseded:
                await self.record_end()
                raise
            else:
                await keep_for_next_round(self.backend_states, self.task.backend, outcome, self.clock.now())
                await asyncio.gather(self.record_success(), self.record_length(outcome))
            span.record(outcome, self.meter.call_measures(self.finish_reason))
        return outcome

    async def record_start(self) -> bool:
        """Count the call as in flight, until the handover if its end is never recorded; False where it may not run."""
        task, record, until = self.task, self.meter.record.id, self.meter.called_at + self.pace.handover_s
        self.meter.start = await self.backend_states.record_start(
            task.backend, record, until=until, response=task.response.id, claim=task.claim
        )
        return self.meter.start.has_memory

    async def stream_answer(self) -> AttemptOutcome:
        """Stream the answer into the log until it ends or the time is up. Raises BackendError and Superseded."""
        call = await self.backend_call()
        self.limit = max(0, call.max_output_tokens)
        if not self.limit:
            return await self.finish_answer(AnswerEnd(reason="length", usage=None))
        await self.client.authenticate()
        self.meter.start_call()
        call = await with_prediction(self.client, call, self.writer, self.meter.earlier)
        async with StreamReader(self.client, call, self.clock, is_followed=self.is_followed) as stream:
            try:
                end = await self.write_pieces(stream)
            finally:
                untaken = await stream.stop()
                self.meter.count_untaken(untaken, was_cut=stream.was_cut, first_text_at=stream.first_text_at)
        return await (self.finish_answer(end) if end else self.stop_at_limit())

    async def write_pieces(self, stream: StreamReader) -> AnswerEnd | None:
        """Write the pieces into the log as they arrive; return the answer's end, or None where the time is up."""
        while (left_s := self.ends_at - self.clock.now()) > 0:
            pieces = await stream.take(within_s=min(POLL_S, left_s, self.hold_left_s(stream)))
            self.meter.count(pieces, first_text_at=stream.first_text_at)
            await self.check_opened(stream)
            await self.answer.write(pieces)
            if end := answer_end(pieces):
                return end
            if pieces:
                await stream.wait_for_end(within_s=self.pace.flush_s)
        return None

    async def backend_call(self) -> BackendCall:
        task, response, partial = self.task, self.task.response, self.answer.partial
        private_data = await self.turns.retrieved_context.text_or_missing(response)
        parameters = supported_parameters(response.options.sampling.parameters, task.capabilities)
        return BackendCall(
            instructions=response.options.instructions,
            items=with_private_data(self.history, private_data),
            sampling=replace(response.options.sampling, parameters=parameters),
            max_output_tokens=self.output_tokens_left - (self.writer.log.pieces if partial else 0),
            partial=partial,
            traceparent=current_traceparent() or response.traceparent,
            tools=task.tools,
            by_schema=task.calls_tools_by_schema,
            is_held=self.is_held,
        )

    @property
    def output_tokens_left(self) -> int:
        """The output limit of this round: the caller's limit holds for all rounds together."""
        requested, used = self.task.response.options.sampling.max_output_tokens, self.writer.log.used
        if requested is None or used is None:
            return self.task.output_tokens
        return min(self.task.output_tokens, requested - used.output_tokens)

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
        self.meter.end(end)
        self.finish_reason = "tool_call" if end.calls else end.reason
        is_late = self.clock.now() >= self.task.response.deadline_at
        capped = None if is_late else capped_answer(self.task, self.answer, self.meter, end, limit=self.limit)
        if capped:
            return await self.write_capped(capped, end)
        code = CUT_REASONS.get(end.reason, "")
        self.answer_usage = self.answer.answer_usage(end.usage)
        answer = self.answer.parsed_answer(end)
        problem = "" if code else problem_of(self.answer, answer)
        outcome = AttemptOutcome(
            attempt=self.task.number,
            result="failed" if problem else "done",
            code="server_error" if problem else code,
            message=problem,
            usage=self.answer.turn_usage(end.usage),
            counted=self.meter.usage_or_estimate,
            limit=self.task.limit,
        )
        better = None if is_late else escalated(outcome, self.task, self.answer, answer)
        if better:
            await self.writer.write(closing_events(self.writer.log, ItemStatus.INCOMPLETE), outcome=better)
            return better
        if not problem:
            return await self.answer.finish(outcome, answer or ParsedAnswer(), is_complete=not code)
        await self.writer.write((), outcome=outcome)
        return outcome

    async def write_capped(self, capped: CappedAnswer, end: AnswerEnd) -> AttemptOutcome:
        """Hand over an answer that has reached its cap. What is asked again does not count as part of the answer."""
        outcome = AttemptOutcome(
            attempt=self.task.number,
            result="handover",
            usage=None if capped.tried else self.answer.turn_usage(end.usage),
            counted=self.meter.usage_or_estimate,
            capped=capped,
        )
        await self.writer.write((), outcome=outcome)
        return outcome

    async def stop_at_limit(self) -> AttemptOutcome:
        """Hand over, or end at the deadline: what was written of an answer beyond its first cap is incomplete.

        Raises BackendError where `limit_s` was too short for any text: the next attempt would not get further.
        """
        if self.clock.now() >= self.task.response.deadline_at:
            if self.task.is_capped:
                return await self.finish_answer(AnswerEnd(reason="length", usage=None))
            return await self.write_outcome("failed", code="server_error", message=DEADLINE_PASSED)
        if not self.meter.pieces and self.task.limit_s is not None:
            raise BackendError(Failure(kind=FailureKind.READ_TIMEOUT))
        return await self.write_outcome("handover")

    async def write_failure(self, error: BackendError) -> AttemptOutcome:
        """Record the failure in the backend's state, decide what follows it, and write that as the outcome."""
        task, meter, now = self.task, self.meter, self.clock.now()
        diagnosis = diagnose(error.failure, task.backend.signatures, now=now)
        await self.backend_states.record_failure(task.backend, diagnosis, meter.record.id, asked_at=meter.called_at)
        decision = retry_decision(
            diagnosis,
            attempts=task.failures.get(diagnosis.failure_class, task.retries) + 1,
            elapsed_s=now - task.response.created_at,
            deadline_s=task.response.deadline_at - task.response.created_at,
            has_alternative=task.has_alternative,
            random=self.clock.fraction(),
        )
        words = backend_words(error.failure)
        log_failure(task, diagnosis, error.failure, words)
        outcome = replace(outcome_of(task, decision, words), failure_class=diagnosis.failure_class, words=words)
        await self.writer.write((), outcome=outcome)
        return outcome

    async def record_success(self) -> None:
        """Learn from a call that did not fail; one without an observation only counts as ended."""
        if observation := self.meter.observation():
            await self.backend_states.record_success(self.task.backend, observation)
        else:
            await self.record_end()

    async def record_length(self, outcome: AttemptOutcome) -> None:
        """Learn how long an answer was, and what of its input was cached."""
        if outcome.result in ("done", CALLS) and self.answer_usage:
            task, usage = self.task, learned_usage(self.task, self.answer_usage, outcome.code)
            await self.answer_lengths.record(task.owner, task.response.thread, task.backend, usage)

    async def record_end(self) -> None:
        """Count the call as ended, and learn nothing from it."""
        await self.backend_states.record_end(self.task.backend, self.meter.record.id)

    async def write_outcome(self, result: wire.InferResult, *, code: str = "", message: str = "") -> AttemptOutcome:
        outcome = AttemptOutcome(attempt=self.task.number, result=result, code=code, message=message)
        await self.writer.write((), outcome=outcome)
        return outcome
