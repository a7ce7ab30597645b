"""Which objects are the steps of a batch?"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from activities.batches.batch_input import BatchInput
from activities.batches.check_batch import CheckBatch
from activities.batches.finish_batch import FinishBatch, TallyLines
from activities.batches.inline_turn import InlineTurns
from activities.batches.run_line import RunLine
from activities.batches.time_batch import StartPlanner, TimeBatch
from api.batches.line_requests import LineRequests
from api.uploads.measured_files import MeasuredFiles
from composition.activities import Activities
from composition.parts import Configuration, Ports
from composition.planning import Intake
from composition.state import State
from domain.batches import batch_wire
from domain.batches.width import lines_at_once
from orchestrators.respond import respond


class BatchSteps(Struct, frozen=True, kw_only=True):
    """The steps of a batch."""

    check: CheckBatch
    planner: StartPlanner
    time: TimeBatch
    run_line: RunLine
    tally: TallyLines
    finish: FinishBatch

    def by_name(self) -> Mapping[str, Callable[[Any], Awaitable[Any]]]:
        """Return each step under the durable name that orchestrations call it by."""
        return {
            batch_wire.CHECK_BATCH: self.check.check,
            batch_wire.TIME_BATCH: self.time.time,
            batch_wire.RUN_LINE: self.run_line.run,
            batch_wire.TALLY_LINES: self.tally.tally,
            batch_wire.FINISH_BATCH: self.finish.finish,
        }


def compose_batches(
    configuration: Configuration, ports: Ports, state: State, activities: Activities, intake: Intake
) -> BatchSteps:
    source = BatchInput(state.batches, state.files, ports.clock)
    requests = LineRequests(
        admission=intake.admission,
        files=intake.files,
        measured=MeasuredFiles(intake.files, intake.memory, ports.clock),
        memory=intake.memory,
        chats=state.stored_completions,
    )
    planner = StartPlanner(
        fleet=configuration.fleet,
        backend_states=state.backend_states,
        attempt_limits=configuration.attempt_limits,
        cheap_hours=configuration.cheap_hours,
        clock=ports.clock,
    )
    return BatchSteps(
        planner=planner,
        time=TimeBatch(source=source, planner=planner, clock=ports.clock),
        check=CheckBatch(
            source=source,
            requests=requests,
            budgets=state.ledger.budget_counters,
            clock=ports.clock,
            line_bytes=configuration.settings.input_limit,
            width=lines_at_once(configuration.fleet),
        ),
        run_line=RunLine(
            source=source,
            requests=requests,
            turns=state.turns,
            store=state.store,
            inline=InlineTurns(activities.by_name(), respond, ports.clock),
            pauses=state.batches.pauses,
            clock=ports.clock,
        ),
        tally=TallyLines(source),
        finish=FinishBatch(
            source=source,
            running=state.running_lines,
            outbox=state.webhook_outbox,
            endpoints=configuration.endpoints,
            clock=ports.clock,
        ),
    )
