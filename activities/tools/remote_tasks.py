"""How does a call end that its server runs as a task, whichever process asks for it?

The id of the task is in the call's record before anybody waits for it. Any run may ask how far the task is: that sends
no call. The step that has begun it waits a little; longer waits are on durable timers of the orchestration.
"""

import asyncio
from copy import replace

from activities.tools.answers import outcome_of
from activities.tools.call_task import CallTask, closed_early
from activities.tools.turn_watch import POLL_S
from clients.clock import Clock
from clients.storage.retry import with_retries
from clients.tools.credentials import GRANT_EXPIRED
from clients.tools.port import TaskStatus, ToolAnswer, ToolCaller, ToolError, ToolRequest, ToolTask
from domain.content.items import Item
from domain.errors import NoResponse
from domain.identity.owners import Owner
from domain.tools.call_record import STEP_LOOKS_S, CallOutcome, CallRecord, RemoteTask
from domain.tools.catalog import ServerAuth, ServerTool, ToolServer, ToolServers
from domain.tools.outcomes import TASK_ASKED, TASK_CANCELLED, TASK_LATE, TASK_LOST, failed, running, unknown
from domain.turns.response import Response
from state.tools.durations import LearnedToolDurations
from state.tools.whole_results import WholeResults
from state.turns.tool_calls import ToolCalls

LOOK_WITHIN_S = 15.0
"""How long a server may take to say how far a task is, or to cancel it."""

ENDED_WITHOUT_RESULT = {
    TaskStatus.INPUT_REQUIRED: TASK_ASKED,
    TaskStatus.CANCELLED: TASK_CANCELLED,
    TaskStatus.LOST: TASK_LOST,
}


class RemoteTasks:
    """Begins, follows and cancels the tasks of calls. Every method is safe to repeat."""

    def __init__(
        self,
        *,
        calls: ToolCalls,
        results: WholeResults,
        connector: ToolCaller,
        durations: LearnedToolDurations,
        clock: Clock,
    ) -> None:
        self.calls = calls
        self.results = results
        self.connector = connector
        self.durations = durations
        self.clock = clock

    def new_task(self, task: CallTask, begun: ToolTask) -> RemoteTask:
        """Return a task that has begun: it may last as long as the turn has time for calls, and its server keeps it."""
        now, until = self.clock.now(), task.response.calls_end_at
        kept_until = until if begun.ttl_s is None else min(until, now + begun.ttl_s)
        return RemoteTask(id=begun.id, poll_s=begun.poll_s, since=now, until=kept_until)

    async def begin(self, task: CallTask, record: CallRecord, remote: RemoteTask) -> CallOutcome:
        """Keep the task that the server has begun. Where another run was first, this one is cancelled.

        So is one whose turn has ended meanwhile, perhaps before there was a task to cancel. Raises NoResponse where the
        response was deleted.
        """
        await self.note(task, record, remote)

        def noted(stored: CallRecord) -> CallRecord | None:
            return None if stored.outcome or stored.task else replace(stored, task=remote)

        try:
            stored = await self.calls.change(task.owner, record, noted)
        except NoResponse:
            await self.cancel(task, remote)
            raise
        if stored.task is None or stored.task.id != remote.id:
            await self.cancel(task, remote)
            return stored.outcome or running(stored.task or remote)
        return await self.after_end(task, stored, remote, stored.outcome or running(remote))

    async def after_end(
        self, task: CallTask, record: CallRecord, remote: RemoteTask, outcome: CallOutcome
    ) -> CallOutcome:
        """Cancel a task in progress whose turn has ended meanwhile: the event that says it may be lost during a step.

        Raises NoResponse where the response was deleted: its record is left, but not the token of its caller.
        """
        is_left = outcome.task is None or not record.is_run_by(task.response.id)
        if is_left or not await with_retries(self.clock, task.watch.look):
            return outcome
        if task.watch.is_deleted:
            if task.grant:
                await self.cancel(task, remote)
            raise NoResponse.by_id("Response", task.response.id)
        await self.stop(task, record, remote)
        return await self.ended(task, record, remote, closed_early(task))

    async def note(self, task: CallTask, record: CallRecord, remote: RemoteTask) -> None:
        """Note a task beside the turn that has begun it, where the call's record is beside the turn that has asked.

        So the task is found when its own turn is deleted.
        """
        if task.place != (task.response.id, task.item.id):
            copy = replace(record, response=task.response.id, item=task.item.id, task=remote)
            await self.calls.note(task.owner, copy)

    async def forget(self, response: Response, item: Item) -> None:
        """Forget what was noted of a task that has ended, or was cancelled."""
        if item.approval:
            await self.calls.remove(response.owner, response.id, item.id)

    async def cancel_orphans(self, owner: Owner, response_id: str, servers: ToolServers, *, item: str = "") -> None:
        """Let servers cancel the tasks of a deleted turn, but none that is called in the name of the caller.

        `item`: only the task of this call, whose request was deleted.
        """
        for record in await self.calls.orphans(owner, response_id):
            if item not in ("", record.item):
                continue
            server = servers.open_to(owner, record.server)
            tool = server.rights(record.tool) if server else None
            if server and tool and record.task and server.auth is not ServerAuth.OBO:
                await self.drop(owner, server, tool, record.task)
            await self.calls.remove(owner, response_id, record.item)

    async def follow(self, task: CallTask, record: CallRecord, begun: CallOutcome) -> CallOutcome:
        """Ask for a task that has just begun until it has ended, for some seconds at most: a timer costs history."""
        outcome = begun
        while remote := outcome.task:
            at = remote.step_looks_at(self.clock.now())
            if at > remote.since + STEP_LOOKS_S or await self.turn_ends_before(at, task):
                break
            outcome = await self.look(task, record, remote)
        return outcome

    async def turn_ends_before(self, at: float, task: CallTask) -> bool:
        """Wait until a time, or until the turn has ended; tell whether it has."""
        while not await with_retries(self.clock, task.watch.look) and (left_s := at - self.clock.now()) > 0:
            await self.clock.sleep(min(left_s, POLL_S))
        return task.watch.has_ended

    async def look(self, task: CallTask, record: CallRecord, remote: RemoteTask) -> CallOutcome:
        """Ask for a task, and return the outcome of its call, which is recorded; in progress where it goes on."""
        if task.server.auth is ServerAuth.OBO and not task.grant:
            return await self.ended(task, record, remote, without_result(task, GRANT_EXPIRED))
        answer = await self.asked(task, remote)
        status = answer.task.status if answer and answer.task else None
        if answer and status is None:
            return await self.with_result(task, record, remote, answer)
        if reason := ENDED_WITHOUT_RESULT.get(status, "") if status else "":
            if status is TaskStatus.INPUT_REQUIRED:
                await self.cancel(task, remote)
            return await self.ended(task, record, remote, without_result(task, reason))
        if self.clock.now() < remote.until:
            return running(remote)
        await self.cancel(task, remote)
        return await self.ended(task, record, remote, without_result(task, TASK_LATE))

    async def stop(self, task: CallTask, record: CallRecord, remote: RemoteTask) -> None:
        """Cancel the task of a turn that has ended; one that had ended before has its result recorded."""
        await self.cancel(task, remote)
        answer = await self.asked(task, remote)
        if answer and answer.task is None:
            await self.with_result(task, record, remote, answer)

    async def with_result(
        self, task: CallTask, record: CallRecord, remote: RemoteTask, answer: ToolAnswer
    ) -> CallOutcome:
        outcome = outcome_of(task.tool, answer)
        if outcome.whole:
            await with_retries(self.clock, self.results.keep, task.response, task.item.id, answer.text)
        return await self.ended(task, record, remote, outcome)

    async def ended(self, task: CallTask, record: CallRecord, remote: RemoteTask, outcome: CallOutcome) -> CallOutcome:
        self.durations.note(task.server.label, task.item.name, self.clock.now() - remote.since)
        stored = await self.calls.end(task.owner, replace(record, task=remote), outcome)
        return stored.outcome or outcome

    async def asked(self, task: CallTask, remote: RemoteTask) -> ToolAnswer | None:
        """Return how far a task is; None where the server does not say it, and may be asked again."""
        return await self.answer(task, remote, cancels=False)

    async def cancel(self, task: CallTask, remote: RemoteTask) -> None:
        """Let the server cancel a task, where it can be reached: it does so when it likes, or not at all."""
        await self.answer(task, remote, cancels=True)

    async def drop(self, owner: Owner, server: ToolServer, tool: ServerTool, remote: RemoteTask) -> None:
        """Cancel a task whose turn was deleted, in the name of the app."""
        await self.said(request_of(owner, server, tool, remote, cancels=True))

    async def answer(self, task: CallTask, remote: RemoteTask, *, cancels: bool) -> ToolAnswer | None:
        request = request_of(task.owner, task.server, task.tool, remote, cancels=cancels)
        return await self.said(replace(request, grant=task.grant))

    async def said(self, request: ToolRequest) -> ToolAnswer | None:
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                return await self.connector.call(request)
        except (ToolError, TimeoutError):
            return None


def request_of(owner: Owner, server: ToolServer, tool: ServerTool, remote: RemoteTask, *, cancels: bool) -> ToolRequest:
    return ToolRequest(server=server, tool=tool, arguments={}, key="", owner=owner, task=remote.id, cancels=cancels)


def without_result(task: CallTask, reason: str) -> CallOutcome:
    """Return the outcome of a call whose task has ended without a result: a write may have had its effect."""
    return failed(reason) if task.tool.is_repeatable else unknown()
