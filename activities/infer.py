"""How is an attempt run so that it is safe to run it twice, and safe to lose its worker?

An attempt writes only as long as no other run has taken the log over. Its outcome is in the log before the activity
returns it: a later run finds it there, and a run that was taken over returns the outcome of its successor.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import replace
from decimal import Decimal
from typing import cast

from activities.inference.answer_writer import open_text
from activities.inference.attempt_billing import AttemptBilling, OpenedAttempt, cover_delay_s
from activities.inference.attempt_meter import AttemptMeter, slots_of_attempt
from activities.inference.attempt_run import POLL_S, AttemptRun, StreamPace
from activities.inference.log_writer import LogWriter, Superseded
from activities.inference.output_cap import OUTPUT_LIMIT, smaller_reservations
from activities.inference.task import AttemptTask
from activities.routing.request_size import added_size
from clients.backends.port import BackendClient
from clients.clock import Clock
from domain import wire
from domain.errors import BudgetSpent, Exhausted
from domain.fleet.catalog import Fleet
from domain.log.events import CALLS, AttemptOutcome, Slot
from domain.log.transcript import Transcript, items_of_rounds, last_message_text
from domain.money.budgets import OWN_BUDGET
from domain.money.ledger_records import AttemptRecord
from domain.tools.approval_rules import ApprovalRules
from domain.tools.catalog import ToolServers
from domain.tools.rounds import (
    BUDGET,
    CONTEXT,
    DEADLINE,
    calls_left,
    can_call_servers,
    largest_result,
    next_round_cost,
    reached_limit,
    tools_of_round,
)
from domain.turns.cache_use import SIGN_OF_LIFE_S
from domain.turns.origins import origin_of
from domain.turns.response import Response
from state.approvals.waits import ApprovalWaits
from state.fleet.answer_lengths import LearnedAnswerLengths
from state.fleet.backend_state import BackendStates
from state.turns.responses import TurnStore
from telemetry.turn import attempt_span, record_lost_runs

ANSWER_TOKENS = 512
"""The room that is kept for the answer of a turn that has to end, where it has no lower limit."""

TAKEN_OVER = "another run of the attempt took over"

ENDED: wire.InferredWire = {"result": "ended", "code": "", "message": "", "delay_s": 0.0}
HANDOVER: wire.InferredWire = {"result": "handover", "code": "", "message": "", "delay_s": 0.0}


class Infer:
    """One attempt: its text is written to the log as it comes, and its outcome with the last of the text."""

    def __init__(
        self,
        *,
        turns: TurnStore,
        billing: AttemptBilling,
        backend_states: BackendStates,
        answer_lengths: LearnedAnswerLengths,
        clients: Mapping[str, BackendClient],
        fleet: Fleet,
        clock: Clock,
        pace: StreamPace,
        tools: ToolServers,
        waits: ApprovalWaits,
        default_output_tokens: int,
    ) -> None:
        self.turns = turns
        self.billing = billing
        self.backend_states = backend_states
        self.answer_lengths = answer_lengths
        self.clients = clients
        self.fleet = fleet
        self.clock = clock
        self.pace = pace
        self.tools = tools
        self.waits = waits
        self.default_output_tokens = default_output_tokens

    async def infer(self, request: wire.InferWire) -> wire.InferredWire:
        owner = wire.owner_from_wire(request)
        response = await self.turns.read(owner, request["response"])
        log = await self.turns.transcript(owner, response.id)
        result = await self.result(self.task(request, response, log), log)
        if result.get("calls"):
            await self.waits.announce(response)
        return result

    async def result(self, task: AttemptTask, log: Transcript) -> wire.InferredWire:
        known = known_result(log, task.number)
        if known:
            await self.close_open_record(task)
            return known
        writer = self.writer(task, log)
        try:
            await writer.take_over()
            return await self.run_attempt(task, writer)
        except Superseded:
            return await self.successor_result(task, writer.log)

    def writer(self, task: AttemptTask, log: Transcript) -> LogWriter:
        return LogWriter(
            self.turns,
            self.clock,
            owner=task.owner,
            response_id=task.response.id,
            log=log,
            attempt=task.number,
            sign_of_life_s=SIGN_OF_LIFE_S if task.response.options.cache else math.inf,
        )

    def task(self, request: wire.InferWire, response: Response, log: Transcript) -> AttemptTask:
        backend, config = self.fleet.backends[request["backend"]], response.options.tool_config
        return AttemptTask(
            owner=wire.owner_from_wire(request),
            response=response,
            tools=tools_of_round(config, log, self.tools.limits),
            limit=reached_limit(config, log, self.tools.limits),
            calls_left=calls_left(config, log, self.tools.limits),
            approvals=ApprovalRules.of_round(config, self.tools, log.items),
            number=request["attempt"],
            backend=backend,
            capabilities=(self.fleet.models[backend.model].capabilities | backend.abilities) - backend.inexpressible,
            worst_cost=Decimal(request["worst_cost"]),
            output_tokens=request["output_tokens"],
            retries=request["retries"],
            has_alternative=request["has_alternative"],
            failures=request.get("failures", {}),
            is_cold=request.get("cold", False),
            hold_s=request.get("hold_s"),
            limit_s=request.get("limit_s"),
            input_tokens=request.get("input_tokens", 0),
            claim=request.get("claim", 0),
            is_capped=request.get("capped", False),
            escalates=request.get("escalates", False),
        )

    async def run_attempt(self, task: AttemptTask, writer: LogWriter) -> wire.InferredWire:
        """Open the attempt's billing, run the attempt, close the billing. Without a budget there is no call."""
        try:
            task, opened = await self.open(task, writer.log)
        except Exhausted as error:
            return await self.end_without_cover(task, writer, error)
        task = await self.within_limits(task, opened)
        attempt = await self.attempt_run(task, writer, opened)
        try:
            with attempt_span(opened.record):
                outcome = await attempt.run()
        except Superseded:
            superseded = AttemptOutcome(attempt=task.number, result="ended", message=TAKEN_OVER)
            await self.billing.close(task, opened, attempt.meter, superseded, writer=writer)
            raise
        record_lost_runs(
            opened.record, attempt.meter.earlier, writer=writer.writer, traceparent=task.response.traceparent
        )
        await self.billing.close(task, opened, attempt.meter, outcome, writer=writer)
        return inferred(outcome, writer.log)

    async def open(self, task: AttemptTask, log: Transcript) -> tuple[AttemptTask, OpenedAttempt]:
        """Reserve what the attempt may cost; less output than long answers have where only that is covered.

        What can't be continued is asked again as a whole, so less of it is of no use. Raises Exhausted.
        """
        at, can_be_less = self.clock.now(), not task.is_capped or (task.continues_text and bool(open_text(log)))
        try:
            return task, await self.billing.open(task, at=at)
        except Exhausted:
            if not (can_be_less and task.is_open_ended and task.output_tokens > self.default_output_tokens):
                raise
            speed = (await self.backend_states.read({task.backend.name: task.backend}))[task.backend.name].speed
            for less in smaller_reservations(task, least=self.default_output_tokens, speed=speed):
                with suppress(Exhausted):
                    return less, await self.billing.open(less, at=at)
            raise

    async def within_limits(self, task: AttemptTask, opened: OpenedAttempt) -> AttemptTask:
        """Return the task of a round that forbids calls, where there is no time, room or budget for another round."""
        if not can_call_servers(task.tools):
            return task
        if self.clock.now() >= task.response.calls_end_at:
            return task.closing(DEADLINE)
        if not self.has_room(task):
            return task.closing(CONTEXT)
        origin = origin_of(task.response.options)
        left = await self.billing.ledger.budget_counters.left(task.owner, task.response.id, origin)
        if left is None or left >= next_round_cost(opened.record.charge.reserved):
            return task
        return task.closing(BUDGET)

    def has_room(self, task: AttemptTask) -> bool:
        """Tell whether the context window has room for a result of a tool and an answer after it."""
        backend = task.backend
        window = min(backend.limits.context_tokens, self.fleet.models[backend.model].context_tokens)
        answer = min(task.output_tokens, ANSWER_TOKENS)
        return task.input_tokens + largest_result(task.tools, self.tools) + answer <= window

    async def attempt_run(self, task: AttemptTask, writer: LogWriter, opened: OpenedAttempt) -> AttemptRun:
        earlier = await self.slots_of_earlier_runs(task, opened.record)
        return AttemptRun(
            task=task,
            history=task.readable((*await self.turns.history(task.response), *items_of_rounds(writer.log))),
            meter=AttemptMeter(self.clock, price=task.backend.price, record=opened.record, earlier=earlier),
            writer=writer,
            turns=self.turns,
            backend_states=self.backend_states,
            answer_lengths=self.answer_lengths,
            client=self.clients[task.backend.name],
            clock=self.clock,
            pace=self.pace,
        )

    async def slots_of_earlier_runs(self, task: AttemptTask, record: AttemptRecord) -> Sequence[Slot]:
        """Return the slots of the attempt's earlier runs, which died. They write no more."""
        if record.progress.deliveries == 1:
            return ()
        return slots_of_attempt(record, await self.turns.slots(task.owner, task.response.id))

    async def end_without_cover(self, task: AttemptTask, writer: LogWriter, error: Exhausted) -> wire.InferredWire:
        """Let a turn wait for what other turns hold, if its deadline allows; else try another backend, or fail it.

        Earlier costs stay. Instead of failing, an answer that was to go on stays as it is. Raises BudgetSpent where a
        line of a batch would fail: the attempt is not over, and begins when the budget has room.
        """
        delay_s = cover_delay_s(task.failures.get(wire.NO_COVER, 0), fraction=self.clock.fraction())
        outcome = AttemptOutcome(attempt=task.number, result="failed", code=wire.BUDGET_EXHAUSTED, message=str(error))
        if error.may_return and self.clock.now() + delay_s < task.response.deadline_at:
            outcome = replace(outcome, result="wait", code="", delay_s=delay_s, failure_class=wire.NO_COVER)
        elif task.is_capped:
            outcome = replace(outcome, result="done", code=OUTPUT_LIMIT)
        elif task.has_alternative:
            outcome = replace(outcome, result=wire.FAILOVER, code="", failure_class=wire.NO_COVER)
        elif task.response.options.batch and error.identifier != OWN_BUDGET:
            await self.close_open_record(task)
            raise BudgetSpent(str(error), identifier=error.identifier) from error
        await writer.write((), outcome=outcome)
        await self.close_open_record(task)
        return inferred(outcome, writer.log)

    async def successor_result(self, task: AttemptTask, log: Transcript) -> wire.InferredWire:
        """Wait for the outcome of the run that took over, and return that as this run's result."""
        until = self.clock.now() + self.pace.handover_s
        while self.clock.now() < until:
            log = await self.turns.transcript(task.owner, task.response.id, log)
            known = known_result(log, task.number)
            if known:
                return known
            await self.turns.wait_for_slot(task.response.id, within_s=POLL_S)
        return HANDOVER

    async def close_open_record(self, task: AttemptTask) -> None:
        """Close the record that an earlier run left open when it died."""
        for record in await self.billing.ledger.attempts(task.owner, task.response.id):
            if record.number == task.number and record.is_open:
                slots = await self.turns.slots(task.owner, task.response.id)
                await self.billing.close_from_log(task, record, slots, price=task.backend.price)
                await self.backend_states.record_end(task.backend, record.id)


def known_result(log: Transcript, number: int) -> wire.InferredWire | None:
    """Return the result of attempt `number` that the log has: the response's end, or the attempt's outcome.

    Where the log has the outcome of a later attempt, nothing uses the result any more.
    """
    if log.ending:
        return ENDED
    if log.outcome and log.outcome.attempt == number:
        return inferred(log.outcome, log)
    return HANDOVER if log.outcome and log.outcome.attempt > number else None


def inferred(outcome: AttemptOutcome, log: Transcript) -> wire.InferredWire:
    """Return the result of an attempt; `log` contains its outcome."""
    asked: wire.InferredWire = {"result": "calls", "code": "", "message": "", "delay_s": 0.0}
    if outcome.result == CALLS:
        added = added_size([last_message_text(log)])
        return {**asked, "calls": list(outcome.calls), "added": added, "hands_back": outcome.hands_back}
    result: wire.InferredWire = {
        "result": cast("wire.InferResult", outcome.result),
        "code": outcome.code,
        "message": outcome.message,
        "delay_s": outcome.delay_s,
        "posture": outcome.failure_class,
    }
    if outcome.capped:
        result["capped"] = outcome.capped.to_wire()
    if outcome.escalation:
        result["escalation"] = outcome.escalation.to_wire()
    return result
