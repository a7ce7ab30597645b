"""How is an attempt run so that it is safe to run it twice, and safe to lose its worker?

An attempt writes only as long as no other run has taken the log over. Its outcome is in the log before the activity
returns it: a later run finds it there, and a run that was taken over returns the outcome of its successor.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import cast

from activities.inference.attempt_billing import AttemptBilling, OpenedAttempt
from activities.inference.attempt_meter import AttemptMeter, slots_of_attempt
from activities.inference.attempt_run import POLL_S, AttemptRun, StreamPace
from activities.inference.log_writer import LogWriter, Superseded
from activities.inference.task import AttemptTask
from clients.backends.port import BackendClient
from clients.clock import Clock
from domain import wire
from domain.errors import Exhausted
from domain.fleet.catalog import Fleet
from domain.log.events import AttemptOutcome, Slot
from domain.log.transcript import Transcript
from domain.money.ledger_records import AttemptRecord, AttemptStatus
from state.fleet.backend_state import BackendStates
from state.turns.responses import TurnStore

BUDGET_EXHAUSTED = "insufficient_quota"
"""The code of a turn that no budget covers."""

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
        clients: Mapping[str, BackendClient],
        fleet: Fleet,
        clock: Clock,
        pace: StreamPace,
    ) -> None:
        self.turns = turns
        self.billing = billing
        self.backend_states = backend_states
        self.clients = clients
        self.fleet = fleet
        self.clock = clock
        self.pace = pace

    async def infer(self, request: wire.InferWire) -> wire.InferredWire:
        task = await self.task(request)
        log = await self.turns.transcript(task.owner, task.response.id)
        known = known_result(log, task.number)
        if known:
            await self.close_open_record(task)
            return known
        writer = LogWriter(
            self.turns, self.clock, owner=task.owner, response_id=task.response.id, log=log, attempt=task.number
        )
        try:
            await writer.take_over()
            return await self.run_attempt(task, writer)
        except Superseded:
            return await self.successor_result(task, writer.log)

    async def task(self, request: wire.InferWire) -> AttemptTask:
        owner = wire.owner_from_wire(request)
        backend = self.fleet.backends[request["backend"]]
        return AttemptTask(
            owner=owner,
            response=await self.turns.read(owner, request["response"]),
            number=request["attempt"],
            backend=backend,
            capabilities=self.fleet.models[backend.model].capabilities,
            worst_cost=Decimal(request["worst_cost"]),
            output_tokens=request["output_tokens"],
            retries=request["retries"],
            has_alternative=request["has_alternative"],
            failures=request.get("failures", {}),
            is_cold=request.get("cold", False),
            hold_s=request.get("hold_s"),
            limit_s=request.get("limit_s"),
            input_tokens=request.get("input_tokens", 0),
        )

    async def run_attempt(self, task: AttemptTask, writer: LogWriter) -> wire.InferredWire:
        """Open the attempt's billing, run the attempt, close the billing. Without a budget there is no call."""
        try:
            opened = await self.billing.open(task, at=self.clock.now())
        except Exhausted as error:
            return await self.fail_without_budget(task, writer, str(error))
        attempt = await self.attempt_run(task, writer, opened)
        try:
            outcome = await attempt.run()
        except Superseded:
            superseded = AttemptOutcome(attempt=task.number, result="ended", message=TAKEN_OVER)
            await self.billing.close(task, opened, attempt.meter, superseded)
            raise
        await self.billing.close(task, opened, attempt.meter, outcome)
        return inferred(outcome)

    async def attempt_run(self, task: AttemptTask, writer: LogWriter, opened: OpenedAttempt) -> AttemptRun:
        earlier = await self.slots_of_earlier_runs(task, opened.record)
        return AttemptRun(
            task=task,
            meter=AttemptMeter(self.clock, price=task.backend.price, record=opened.record, earlier=earlier),
            writer=writer,
            turns=self.turns,
            backend_states=self.backend_states,
            client=self.clients[task.backend.name],
            clock=self.clock,
            pace=self.pace,
        )

    async def slots_of_earlier_runs(self, task: AttemptTask, record: AttemptRecord) -> Sequence[Slot]:
        """Return the slots of the attempt's earlier runs, which died. They write no more."""
        if record.deliveries == 1:
            return ()
        return slots_of_attempt(record, await self.turns.slots(task.owner, task.response.id))

    async def fail_without_budget(self, task: AttemptTask, writer: LogWriter, reason: str) -> wire.InferredWire:
        """Fail a turn that no budget covers any more. The costs of earlier runs stay."""
        outcome = AttemptOutcome(attempt=task.number, result="failed", code=BUDGET_EXHAUSTED, message=reason)
        await writer.write((), outcome=outcome)
        await self.close_open_record(task)
        return inferred(outcome)

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
            if record.number == task.number and record.status is AttemptStatus.OPEN:
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
        return inferred(log.outcome)
    return HANDOVER if log.outcome and log.outcome.attempt > number else None


def inferred(outcome: AttemptOutcome) -> wire.InferredWire:
    return {
        "result": cast("wire.InferResult", outcome.result),
        "code": outcome.code,
        "message": outcome.message,
        "delay_s": outcome.delay_s,
        "posture": outcome.failure_class,
    }
