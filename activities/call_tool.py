"""How does the server run one call that the model asked for?"""

from dataclasses import replace

from activities.routing.request_size import NOTHING, added_size
from activities.tools.call_log import CallLog, indexed_item
from activities.tools.call_sender import CallSender
from activities.tools.call_task import CallTask
from activities.tools.turn_watch import TurnWatch
from domain import wire
from domain.content.items import Item, ItemStatus
from domain.content.server_calls import call_output
from domain.content.tools import ANYTHING
from domain.errors import NoResponse
from domain.identity.owners import Owner
from domain.log.transcript import Transcript
from domain.tools.arguments import argument_problem, parsed_arguments
from domain.tools.call_record import CallOutcome
from domain.tools.catalog import OnUnknown, ServerKind, ServerTool, ToolEffect, ToolServer, ToolServers
from domain.tools.outcomes import NOT_CONFIGURED, REPEATED, failed, invalid_arguments
from domain.tools.repeats import is_known_by_now
from domain.turns.response import Response
from state.turns.responses import TurnStore

ENDED: wire.CalledToolWire = {"outcome": "ended", "added": NOTHING}


class CallTool:
    """Runs a call and writes its end to the log. A repeat returns the recorded outcome, or repeats what is safe."""

    def __init__(self, *, turns: TurnStore, servers: ToolServers, sender: CallSender, log: CallLog) -> None:
        self.turns = turns
        self.servers = servers
        self.sender = sender
        self.log = log

    async def call(self, request: wire.CallToolWire) -> wire.CalledToolWire:
        """Run a call. Raises NoResponse where its response was deleted; its record is deleted too by then."""
        owner, response_id, call = wire.owner_from_wire(request), request["response"], request["call"]
        try:
            return await self.closed_call(owner, response_id, call)
        except NoResponse:
            await self.sender.calls.remove(owner, response_id, call)
            raise

    async def closed_call(self, owner: Owner, response_id: str, call: str) -> wire.CalledToolWire:
        response = await self.turns.read(owner, response_id)
        log = await self.turns.transcript(owner, response.id)
        _, item = indexed_item(log, call)
        if log.ending:
            found = self.find(response, item)
            is_write = found is None or found[1].effect is ToolEffect.WRITE
            await self.sender.abandon(owner, response.id, item.id, is_write=is_write)
            return ENDED
        if item.status is ItemStatus.IN_PROGRESS:
            outcome = await self.outcome(response, item, log)
            item = await self.log.close(owner, response.id, item.id, outcome)
        return self.called(response, item) if item else ENDED

    async def outcome(self, response: Response, item: Item, log: Transcript) -> CallOutcome:
        found = self.find(response, item)
        if found is None:
            return failed(NOT_CONFIGURED)
        server, tool = found
        if len(item.text.encode(errors="replace")) > self.servers.limits.argument_bytes:
            return invalid_arguments(f"the arguments are larger than {self.servers.limits.argument_bytes} bytes")
        arguments = parsed_arguments(item.text)
        problem = arguments if isinstance(arguments, str) else argument_problem(arguments, tool.input_schema)
        if isinstance(arguments, str) or problem:
            return invalid_arguments(problem)
        if is_known_by_now(item, log.items):
            return failed(REPEATED)
        watch = TurnWatch(self.turns, response.owner, response.id, next_slot=log.next_slot)
        return await self.sender.outcome(
            CallTask(
                response=response,
                item=item,
                server=server,
                tool=tool,
                arguments=arguments,
                watch=watch,
                follows_write=any(is_write_to(server, each) for each in log.items),
            )
        )

    def find(self, response: Response, item: Item) -> tuple[ToolServer, ServerTool] | None:
        """Return the tool of a call, where it is still configured for the turn's owner."""
        server = self.servers.open_to(response.owner, item.server)
        tool = server.rights(item.name) if server else None
        if server is None or tool is None:
            return None
        return server, listed_tool(response, item, tool) if server.kind is ServerKind.MCP else tool

    def called(self, response: Response, item: Item) -> wire.CalledToolWire:
        """Return how a call in the log ended, and what it adds to the input of the next round."""
        added = added_size((item.text, call_output(item).text))
        if item.status is ItemStatus.COMPLETED:
            return {"outcome": "completed", "added": added}
        if item.status is not ItemStatus.INCOMPLETE:
            return {"outcome": "failed", "added": added}
        found = self.find(response, item)
        stops = found is not None and found[1].on_unknown is OnUnknown.STOP
        return {"outcome": "stopped" if stops else "incomplete", "added": added}


def listed_tool(response: Response, item: Item, rights: ServerTool) -> ServerTool:
    """Return a tool of an MCP server with the schema that the turn was offered, and with the rights of the file."""
    offered = response.options.tool_config.functions
    schema = next((each.parameters for each in offered if (each.server, each.name) == (item.server, item.name)), None)
    return replace(rights, parameters=schema or ANYTHING)


def is_write_to(server: ToolServer, item: Item) -> bool:
    tool = server.rights(item.name) if item.server == server.label else None
    return tool is not None and tool.effect is ToolEffect.WRITE
