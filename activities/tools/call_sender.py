"""How is a call sent, so that a crash at any point repeats it only where that is safe?

The record is created first. Whoever creates it sends. A run that finds the record takes a repeatable call over; for any
other call it waits until the first run must have stopped, and records that the outcome is unknown.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from copy import replace
from typing import NamedTuple

from activities.tools.answers import outcome_of
from activities.tools.call_billing import CallBilling
from activities.tools.call_task import GRACE_S, CallTask, closed_early
from activities.tools.remote_tasks import RemoteTasks
from activities.tools.request_limit import RequestLimit
from activities.tools.result_cache import ResultCache
from activities.tools.turn_watch import POLL_S
from clients.clock import Clock
from clients.storage.retry import with_retries
from clients.tools.port import CallFailure, ToolCaller, ToolError, ToolRequest
from domain.errors import Exhausted
from domain.identity.owners import Owner
from domain.tools.call_record import MARGIN_S, CallOutcome, CallRecord, RemoteTask, hash_of
from domain.tools.catalog import ServerTool
from domain.tools.outcomes import (
    DEADLINE_PASSED,
    NOT_SENT,
    OVER_BUDGET,
    TURN_ENDED,
    failed,
    running,
    unknown,
)
from state.tools.durations import LearnedToolDurations
from state.tools.whole_results import WholeResults
from state.turns.tool_calls import ToolCalls
from telemetry.tool import tool_span

PAUSE_S = 0.2
"""The pause before a failed request is repeated."""

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})


class Answered(NamedTuple):
    """What one request led to: the call's outcome, and whether the request can have reached the server."""

    outcome: CallOutcome
    is_final: bool
    may_have_arrived: bool = True


class CallSender:
    """Sends calls and records their outcomes."""

    def __init__(
        self,
        *,
        calls: ToolCalls,
        results: WholeResults,
        connector: ToolCaller,
        billing: CallBilling,
        cache: ResultCache,
        durations: LearnedToolDurations,
        clock: Clock,
    ) -> None:
        self.calls = calls
        self.results = results
        self.connector = connector
        self.billing = billing
        self.cache = cache
        self.durations = durations
        self.clock = clock
        self.tasks = RemoteTasks(calls=calls, results=results, connector=connector, durations=durations, clock=clock)

    async def outcome(self, task: CallTask) -> CallOutcome:
        """Return the recorded outcome of a call, after sending it where that is safe. Raises NoResponse.

        A call that its server runs as a task is in progress.
        """
        mine = self.new_record(task)
        record = await self.calls.open(task.owner, mine)
        if record.outcome:
            return record.outcome
        with tool_span(task.item) as told:
            outcome = await self.found_outcome(task, record, mine)
            if outcome.task is None:
                told.record(outcome, seconds=self.clock.now() - record.started_at)
        return outcome

    async def found_outcome(self, task: CallTask, record: CallRecord, mine: CallRecord) -> CallOutcome:
        """Return the outcome of a call that had none, which is recorded by then."""
        if record.starter != mine.starter and not record.task:
            record = await (self.take_over(task, mine) if task.tool.is_repeatable else self.give_up(task, record))
        if record.outcome:
            return record.outcome
        if record.task:
            return await self.looked_at(task, record, record.task)
        outcome = self.cache.find(task) or await self.billed_outcome(record, task)
        if outcome.task:
            return await self.begun(task, record, outcome.task)
        if task.watch.is_deleted and not task.approval:
            await self.calls.remove(task.owner, record.response, record.item)
        ended = await self.known_to_other_run(task, await self.calls.end(task.owner, record, outcome))
        is_silent = not ended.has_ended_or_goes_on and ended.is_run_by(task.response.id)
        if is_silent and not task.watch.has_ended:
            ended = await self.calls.end(task.owner, ended, unknown())
        return ended.outcome or (running(ended.task) if ended.task else outcome)

    async def begun(self, task: CallTask, record: CallRecord, remote: RemoteTask) -> CallOutcome:
        """Keep a task that the server has begun, and follow it while it is young."""
        outcome = await self.tasks.follow(task, record, await self.tasks.begin(task, record, remote))
        if outcome.task is None:
            self.cache.keep(task, outcome)
        return outcome

    async def looked_at(self, task: CallTask, record: CallRecord, remote: RemoteTask) -> CallOutcome:
        looked = await self.tasks.look(task, record, remote)
        outcome = await self.tasks.after_end(task, record, remote, looked)
        if outcome.task is None:
            self.cache.keep(task, outcome)
        return outcome

    async def known_to_other_run(self, task: CallTask, record: CallRecord) -> CallRecord:
        """Wait for the run that has taken the call over: all runs, and all turns with its approval, have one result."""
        until = record.ends_by + MARGIN_S
        while not record.has_ended_or_goes_on and self.clock.now() < until:
            await self.clock.sleep(POLL_S)
            record = await self.calls.read(task.owner, record)
            if await with_retries(self.clock, task.watch.look):
                break
        return record

    async def billed_outcome(self, record: CallRecord, task: CallTask) -> CallOutcome:
        """Send a call that the budgets cover, and charge it."""
        try:
            opened = await self.billing.open(task)
        except Exhausted:
            return replace(failed(OVER_BUDGET), is_unsent=task.is_write)
        sent_at = self.clock.now()
        outcome, requests = await self.send(record, task)
        if outcome.task is None:
            self.durations.note(task.server.label, task.item.name, self.clock.now() - sent_at)
        await self.billing.close(task, opened, requests=requests)
        self.cache.keep(task, outcome)
        return replace(outcome, is_unsent=task.is_write and not requests)

    def new_record(self, task: CallTask) -> CallRecord:
        now = self.clock.now()
        response_id, item_id = task.place
        record = CallRecord(
            response=response_id,
            item=item_id,
            server=task.item.server,
            tool=task.item.name,
            arguments_hash=hash_of(task.item.text),
            starter=f"{task.response.id}/{self.clock.token()}",
            started_at=now,
            send_until=now,
            ends_by=now,
            tries=1,
        )
        return record.restarted(starter=record.starter, at=now, lasts_s=longest_s(task.tool))

    async def take_over(self, task: CallTask, mine: CallRecord) -> CallRecord:
        """Become the run that sends a call again; the stored record may have an outcome by then."""

        def restarted(stored: CallRecord) -> CallRecord | None:
            if stored.outcome or stored.task:
                return None
            times = replace(stored, starter=mine.starter, send_until=mine.send_until, ends_by=mine.ends_by)
            return replace(times, tries=stored.tries + 1)

        return await self.calls.change(task.owner, mine, restarted)

    async def give_up(self, task: CallTask, record: CallRecord) -> CallRecord:
        """Wait until the run that may have sent the call must have stopped; then its outcome is unknown, once.

        The end of this turn stops no run of another turn with the same approval: its outcome is left to it.
        """
        stopped_at, is_own = record.ends_by, record.is_run_by(task.response.id)
        while not record.has_ended_or_goes_on and self.clock.now() < stopped_at + MARGIN_S:
            await self.clock.sleep(POLL_S)
            record = await self.calls.read(task.owner, record)
            if not task.watch.has_ended and await with_retries(self.clock, task.watch.look):
                if not is_own:
                    return record if record.outcome else replace(record, outcome=failed(TURN_ENDED))
                stopped_at = min(stopped_at, self.clock.now() + POLL_S + task.grace_s)
        return record if record.task else await self.calls.end(task.owner, record, unknown())

    async def abandon(self, owner: Owner, place: tuple[str, str], *, by: str, is_write: bool) -> None:
        """End the record that a run of the turn `by` left open when it died, and the turn has ended since.

        A run that only seemed to be dead may still report the outcome of a write. The place of an approved call is that
        of its request: a run of another turn is left alone.
        """
        record = await self.calls.find(owner, *place)
        if record is None or record.outcome or not record.is_run_by(by):
            return
        if is_write:
            until = min(record.ends_by + MARGIN_S, self.clock.now() + GRACE_S)
            await self.clock.sleep(max(0.0, until - self.clock.now()))
            record = await self.calls.read(owner, record)
        await self.calls.end(owner, record, unknown() if is_write else failed(TURN_ENDED))

    async def send(self, record: CallRecord, task: CallTask) -> tuple[CallOutcome, int]:
        """Send the call, and again where a repeatable one failed. A run that comes too late sends nothing.

        Returns the outcome, and how many requests may have reached the server.
        """
        outcome, sent = failed(NOT_SENT), 0
        for number in range(task.tool.tries):
            if number:
                await self.clock.sleep(PAUSE_S * 2 ** (number - 1))
            if await with_retries(self.clock, task.watch.look):
                return (outcome, sent) if number else (not_sent(record, task), 0)
            if not number and self.clock.now() > record.send_until:
                break
            within_s = min(task.tool.longest_s, task.response.calls_end_at - self.clock.now())
            if within_s <= 0:
                return (outcome, sent) if number else (failed(DEADLINE_PASSED), 0)
            answered = await self.request(record, task, within_s)
            outcome = answered.outcome if answered.may_have_arrived or not sent else outcome
            sent += answered.may_have_arrived
            if answered.is_final:
                break
        return outcome, sent

    async def request(self, record: CallRecord, task: CallTask, within_s: float) -> Answered:
        """Send one request, which may take `within_s` seconds at most: the tool's or what the turn has left."""
        tool, limit = task.tool, RequestLimit(silence_s=task.tool.timeout_s, longest_s=within_s)
        try:
            async with limit.running(), shortened(limit, task):
                answer = await self.connector.call(request_of(task, record, limit))
        except ToolError as error:
            is_lost = error.failure is CallFailure.NO_ANSWER and not tool.is_repeatable
            may_have_arrived = error.failure is not CallFailure.NOT_SENT
            outcome = unknown() if is_lost else failed(str(error))
            return Answered(outcome, is_final=is_lost, may_have_arrived=may_have_arrived)
        except TimeoutError:
            if task.watch.has_ended:
                return Answered(closed_early(task), is_final=True)
            late = failed(f"The server did not answer within {limit.seconds:g} s.")
            return Answered(late if tool.is_repeatable else unknown(), is_final=not tool.is_repeatable)
        if answer.task:
            return Answered(running(self.tasks.new_task(task, answer.task)), is_final=True)
        outcome = outcome_of(tool, answer)
        if outcome.whole:
            await with_retries(self.clock, self.results.keep, task.response, task.item.id, answer.text)
        return Answered(outcome, is_final=answer.status not in RETRIED_STATUSES)


@asynccontextmanager
async def shortened(limit: RequestLimit, task: CallTask) -> AsyncGenerator[None]:
    """Shorten the time limit of a request when its turn ends: a read has no time left, a write may still report."""

    async def shorten() -> None:
        await task.watch.wait_for_end()
        limit.shorten(task.grace_s)

    watching = asyncio.create_task(shorten())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def not_sent(record: CallRecord, task: CallTask) -> CallOutcome:
    """Return the outcome of a call whose turn has ended; an earlier run may have sent it."""
    return unknown() if record.tries > 1 and task.is_write else failed(TURN_ENDED)


def longest_s(tool: ServerTool) -> float:
    """Return the seconds that a run takes at most for all requests of a call."""
    return tool.tries * (tool.longest_s + PAUSE_S * 2**tool.tries)


def request_of(task: CallTask, record: CallRecord, limit: RequestLimit) -> ToolRequest:
    return ToolRequest(
        server=task.server,
        tool=task.tool,
        arguments=task.arguments,
        key=record.item,
        owner=task.owner,
        grant=task.grant,
        on_progress=limit.extend,
    )
