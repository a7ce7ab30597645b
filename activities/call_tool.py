"""How does the server run one call that the model asked for?"""

from collections.abc import Mapping
from copy import replace
from typing import Literal

from activities.routing.request_size import NOTHING, added_size
from activities.tools.call_log import CallLog, indexed_item
from activities.tools.call_sender import CallSender
from activities.tools.call_task import CallTask
from activities.tools.caller_grants import CallerGrants
from activities.tools.result_pages import ResultPages
from activities.tools.turn_watch import TurnWatch
from domain import wire
from domain.content.items import IMAGE_PLACEHOLDER, Item, ItemStatus
from domain.content.server_calls import call_output
from domain.content.tools import ANYTHING
from domain.errors import NoResponse
from domain.identity.owners import Owner
from domain.log.transcript import Transcript
from domain.tools.approval_rules import ApprovalRules
from domain.tools.approvals import Approval
from domain.tools.arguments import call_problem, parsed_arguments
from domain.tools.call_record import CallOutcome, CallRecord, hash_of
from domain.tools.catalog import (
    OnUnknown,
    ServerKind,
    ServerTool,
    ToolEffect,
    ToolServer,
    ToolServers,
    other_tool,
)
from domain.tools.listings.listing import offered_function
from domain.tools.outcomes import (
    NOT_APPROVED,
    NOT_CONFIGURED,
    NOT_LISTED,
    REPEATED,
    TOOL_CHANGED,
    TURN_ENDED,
    failed,
    invalid_arguments,
    unknown,
)
from domain.tools.repeats import is_known_by_now
from domain.tools.result_pages import RESULT_SERVER
from domain.tools.source_tools import as_offered
from domain.turns.response import Response
from state.tools.directory import ToolDirectory
from state.turns.responses import TurnStore

AFTER_UNKNOWN: Mapping[OnUnknown, Literal["incomplete", "stopped", "asks"]] = {
    OnUnknown.TELL: "incomplete",
    OnUnknown.STOP: "stopped",
    OnUnknown.ASK: "asks",
}
ENDED: wire.CalledToolWire = {"outcome": "ended", "added": NOTHING}


class CallTool:
    """Runs a call and writes its end to the log. A repeat returns the recorded outcome, or repeats what is safe."""

    def __init__(
        self,
        *,
        turns: TurnStore,
        servers: ToolServers,
        directory: ToolDirectory,
        sender: CallSender,
        pages: ResultPages,
        grants: CallerGrants,
        log: CallLog,
    ) -> None:
        self.turns = turns
        self.servers = servers
        self.directory = directory
        self.pages = pages
        self.grants = grants
        self.sender = sender
        self.log = log

    async def call(self, request: wire.CallToolWire) -> wire.CalledToolWire:
        """Run a call. Raises NoResponse where its response was deleted; its record is deleted too by then."""
        owner, response_id, call = wire.owner_from_wire(request), request["response"], request["call"]
        try:
            return await self.closed_call(owner, response_id, call)
        except NoResponse:
            await self.sender.tasks.cancel_orphans(owner, response_id, self.servers)
            await self.sender.calls.clear(owner, response_id)
            raise

    async def closed_call(self, owner: Owner, response_id: str, call: str) -> wire.CalledToolWire:
        response = await self.turns.read(owner, response_id)
        log = await self.turns.transcript(owner, response.id)
        _, item = indexed_item(log, call)
        if log.ending:
            await self.abandon(response, item)
            return ENDED
        if item.status is ItemStatus.IN_PROGRESS:
            outcome = await self.outcome(response, item, log)
            if outcome.task:
                return {"outcome": "running", "added": NOTHING, "until": outcome.task.look_at(self.log.clock.now())}
            await self.sender.tasks.forget(response, item)
            asks = outcome.unknown and self.on_unknown(response, item) is OnUnknown.ASK
            item = await self.log.close(owner, response.id, item.id, outcome, asks_again=asks)
        return self.called(response, item) if item else ENDED

    async def outcome(self, response: Response, item: Item, log: Transcript) -> CallOutcome:
        if item.server == RESULT_SERVER:
            return await self.pages.outcome(response, item, log)
        if item.approval:
            return await self.approved_outcome(response, item, log)
        return await self.checked_outcome(response, item, log)

    async def checked_outcome(
        self, response: Response, item: Item, log: Transcript, *, approval: Approval | None = None
    ) -> CallOutcome:
        """Return the outcome of a call, which is sent only where it is still possible and allowed.

        A call that runs as a task was sent before: it is looked at, whatever its tool may do now.
        """
        place = (approval.response, approval.request) if approval else (response.id, item.id)
        found, arguments = self.find(response, item), parsed_arguments(item.text)
        refusal = self.refusal(response, item, log, is_approved=approval is not None)
        record = await self.sender.calls.find(response.owner, *place) if refusal else None
        if refusal and record is None:
            return refusal
        if found is None or isinstance(arguments, str) or (refusal and record and not record.task):
            return await self.given_up(response, item, record, refusal)
        server, tool = found
        watch = TurnWatch(self.turns, response.owner, response.id, next_slot=log.next_slot)
        task = CallTask(
            response=response,
            item=item,
            server=server,
            tool=tool,
            arguments=arguments,
            watch=watch,
            follows_write=any(is_write_to(server, each) for each in log.items),
            approval=approval,
            grant=await self.grants.token(response, server),
        )
        return await self.sender.outcome(task)

    def refusal(self, response: Response, item: Item, log: Transcript, *, is_approved: bool) -> CallOutcome | None:
        """Return how a call ends that must not be sent; None where it may be."""
        found = self.find(response, item)
        if found is None:
            return failed(NOT_CONFIGURED)
        problem = call_problem(item.text, found[1].input_schema, max_bytes=self.servers.limits.argument_bytes)
        if problem or isinstance(parsed_arguments(item.text), str):
            return invalid_arguments(problem)
        if is_known_by_now(item, log.items):
            return failed(REPEATED)
        needs_approval = not is_approved and self.needs_approval(response, item, log)
        return failed(NOT_APPROVED) if needs_approval else None

    async def given_up(
        self, response: Response, item: Item, record: CallRecord | None, refusal: CallOutcome | None
    ) -> CallOutcome:
        """Return how a call ends that an earlier run may have sent, and that nothing can be asked about any more.

        The record of a run of another turn, with the same approval, is left to that.
        """
        outcome = refusal if refusal and not self.may_write(response, item) else unknown()
        if record is None or not record.is_run_by(response.id):
            return (record and record.outcome) or outcome
        return (await self.sender.calls.end(response.owner, record, outcome)).outcome or outcome

    async def approved_outcome(self, response: Response, item: Item, log: Transcript) -> CallOutcome:
        """Return the outcome of an approved call.

        The turn that asked may be deleted meanwhile, with the records of what has been sent. A task is cancelled then.
        """
        try:
            return await self.outcome_of_request(response, item, log)
        except NoResponse:
            await self.sender.tasks.cancel_orphans(response.owner, response.id, self.servers, item=item.id)
            return unknown() if self.may_write(response, item) else failed(TURN_ENDED)

    async def outcome_of_request(self, response: Response, item: Item, log: Transcript) -> CallOutcome:
        """Return the outcome of an approved call, which another turn may have run whatever became of the tool since.

        Raises NoResponse where its request was deleted.
        """
        approval = await self.turns.approvals.find(response.owner, item.approval)
        if approval is None:
            raise NoResponse.by_id("Approval request", item.approval)
        if not is_approved(approval, item):
            return failed(NOT_APPROVED)
        known = await self.sender.calls.find(response.owner, approval.response, approval.request)
        if known and known.outcome:
            return known.outcome
        if not approval.binds(response.options.tool_config):
            return failed(TOOL_CHANGED)
        problem = "" if known else await self.change_since(response, approval)
        return failed(problem) if problem else await self.checked_outcome(response, item, log, approval=approval)

    async def change_since(self, response: Response, approval: Approval) -> str:
        """Return why a tool may not be what it was before its turn has waited, for days perhaps; empty where it is."""
        server = self.servers.open_to(response.owner, approval.server)
        if not response.options.approval_wait_s or server is None:
            return ""
        listed = await self.directory.listed(server)
        if listed.problem:
            return NOT_LISTED.format(listed.problem)
        tool = listed.server.tools.get(approval.tool)
        is_same = tool is not None and approval.is_pinned(offered_function(listed.server, tool))
        return "" if is_same else TOOL_CHANGED

    def needs_approval(self, response: Response, item: Item, log: Transcript) -> bool:
        """Tell whether a call must not be sent as it is. The round that planned it has decided the same."""
        earlier = [each for each in log.items if each.round < item.round]
        rules = ApprovalRules.of_round(response.options.tool_config, self.servers, earlier)
        return rules.needs_approval(item.server, item.name)

    async def abandon(self, response: Response, item: Item) -> None:
        """End the record of a call whose turn has ended."""
        place = (response.id, item.id)
        if item.approval:
            approval = await self.turns.approvals.find(response.owner, item.approval)
            place = (approval.response, approval.request) if approval else place
        await self.stop(response, item, place)
        await self.sender.tasks.forget(response, item)
        await self.sender.abandon(response.owner, place, by=response.id, is_write=self.may_write(response, item))

    async def stop(self, response: Response, item: Item, place: tuple[str, str]) -> None:
        """Let the server cancel the task of a call whose turn has ended, which another turn cannot need."""
        found, record = self.find(response, item), await self.sender.calls.find(response.owner, *place)
        if found and record and record.task and not record.outcome and record.is_run_by(response.id):
            server, tool = found
            task = CallTask(
                response=response,
                item=item,
                server=server,
                tool=tool,
                arguments={},
                watch=TurnWatch(self.turns, response.owner, response.id, next_slot=0),
                grant=await self.grants.token(response, server),
            )
            await self.sender.tasks.stop(task, record, record.task)

    def may_write(self, response: Response, item: Item) -> bool:
        found = self.find(response, item)
        return found is None or found[1].effect is ToolEffect.WRITE

    def find(self, response: Response, item: Item) -> tuple[ToolServer, ServerTool] | None:
        """Return the tool of a call, where it is still configured for the turn's owner."""
        server = self.servers.open_to(response.owner, item.server)
        tool = server.rights(item.name) if server else None
        if server is None or tool is None:
            return None
        if server.kind is ServerKind.SOURCES:
            return server, as_offered(response.options.tool_config, server, tool)
        return server, listed_tool(response, item, server, tool) if server.kind is ServerKind.MCP else tool

    def called(self, response: Response, item: Item) -> wire.CalledToolWire:
        """Return how a call in the log ended, and what it adds to the input of the next round."""
        added = added_size((item.text, call_output(item).text, *(IMAGE_PLACEHOLDER,) * len(item.images)))
        if item.status is ItemStatus.COMPLETED:
            return {"outcome": "completed", "added": added}
        if item.status is not ItemStatus.INCOMPLETE:
            return {"outcome": "failed", "added": added}
        return {"outcome": AFTER_UNKNOWN[self.on_unknown(response, item)], "added": added}

    def on_unknown(self, response: Response, item: Item) -> OnUnknown:
        found = self.find(response, item)
        return found[1].on_unknown if found else OnUnknown.TELL


def is_approved(approval: Approval, item: Item) -> bool:
    """Tell whether a call is the one that was approved."""
    is_same = (approval.server, approval.tool, approval.arguments_hash) == (item.server, item.name, hash_of(item.text))
    return is_same and approval.decision is not None and approval.decision.approves


def listed_tool(response: Response, item: Item, server: ToolServer, rights: ServerTool) -> ServerTool:
    """Return a tool of an MCP server with the schema that the turn was offered, and with the rights of the file.

    A tool that the file does not name was offered as a write or as a read.
    """
    offered = response.options.tool_config.function_of(item.server, item.name)
    if offered and not offered.writes and item.name not in server.tools:
        rights = other_tool(item.name, ToolEffect.READ)
    return replace(rights, parameters=(offered.parameters if offered else None) or ANYTHING)


def is_write_to(server: ToolServer, item: Item) -> bool:
    tool = server.rights(item.name) if item.server == server.label else None
    return tool is not None and tool.effect is ToolEffect.WRITE
