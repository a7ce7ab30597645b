"""Which calls of a round need an approval?

The file and the caller say which tools need one. Beyond that, every write needs one as soon as the model has read a
result of a server that is not trusted: the text may have told it to write. That includes results of earlier turns.
"""

from collections.abc import Iterable, Iterator
from copy import replace
from typing import Self

from msgspec import Struct

from domain.content.items import SERVER_CALLS, Item, ItemStatus
from domain.content.tools import FunctionCall, FunctionTool, ToolConfig
from domain.tools.arguments import call_problem
from domain.tools.catalog import ServerTool, ToolApproval, ToolEffect, ToolServers
from domain.tools.result_pages import RESULT_SERVER

EARLIER = "*"
"""Stands for servers of earlier turns, one of which is not trusted. No server has this label."""


class ApprovalRules(Struct, frozen=True, kw_only=True):
    """The rules of one round. `is_tainted`: the model has read results of servers that are not trusted."""

    config: ToolConfig
    servers: ToolServers
    is_tainted: bool

    @classmethod
    def of_round(cls, config: ToolConfig, servers: ToolServers, items: Iterable[Item]) -> Self:
        """Return the rules after the items of earlier rounds; results of the same round were not read yet."""
        rules = cls(config=config, servers=servers, is_tainted=config.is_tainted)
        found = any(is_untrusted_result(each, servers) and rules.is_valid(each) for each in items)
        return replace(rules, is_tainted=config.is_tainted or found)

    def needs_approval(self, server: str, name: str) -> bool:
        """Tell whether a call has to be approved: as the tool was offered, or as the file says of it now."""
        function, tool = self.config.function_of(server, name), self.rights(server, name)
        always = function.needs_approval if function else tool is None or tool.approval is ToolApproval.ALWAYS
        writes = bool(function and function.writes) or bool(tool and tool.effect is ToolEffect.WRITE)
        return always or (self.is_tainted and writes)

    def rights(self, server: str, name: str) -> ServerTool | None:
        """Return what the file says of a tool; None for one that it does not name, or no longer."""
        known = self.servers.known.get(server)
        return known.tools.get(name) if known else None

    def asks(self, call: FunctionCall) -> bool:
        """Tell whether to ask for an approval. Nobody is asked about a call with invalid arguments."""
        function = self.config.function_of(call.server, call.name)
        needs = self.needs_approval(call.server, call.name)
        return needs and function is not None and self.fits(call.arguments, function)

    def is_valid(self, item: Item) -> bool:
        """Tell whether a call can have reached its server: one with invalid arguments has not."""
        function = self.config.function_of(item.server, item.name)
        return function is None or self.fits(item.text, function)

    def fits(self, arguments: str, function: FunctionTool) -> bool:
        limit = self.servers.limits.argument_bytes
        return not call_problem(arguments, function.parameters or {}, max_bytes=limit)


def has_untrusted_result(items: Iterable[Item], servers: ToolServers) -> bool:
    """Tell whether an item is a result of a server that is not trusted, or was written after reading one."""
    return any(is_untrusted_result(each, servers) or not trusts(servers, each.read) for each in items)


def is_untrusted_result(item: Item, servers: ToolServers) -> bool:
    """Tell whether an item is a call that has ended, at a server that is not trusted, with whatever result.

    A page of a result is what the call with that result was.
    """
    return has_result(item) and not trusts(servers, [item.server])


def has_result(item: Item) -> bool:
    is_call = item.kind in SERVER_CALLS and item.server != RESULT_SERVER
    return is_call and item.status is not ItemStatus.IN_PROGRESS


def trusts(servers: ToolServers, labels: Iterable[str]) -> bool:
    """Tell whether all servers are trusted. One that is not in the file, or no longer, is not."""
    return all((server := servers.known.get(label)) is not None and server.trusted for label in labels)


def with_readings(items: Iterable[Item], *, is_tainted: bool) -> Iterator[Item]:
    """Yield the output of a turn, each item with the servers whose results were read before it.

    Another conversation may get an item alone, without the calls that it depends on.
    """
    read = [EARLIER] if is_tainted else list[str]()
    for item in items:
        yield replace(item, read=tuple(read)) if read else item
        if has_result(item) and item.server not in read:
            read.append(item.server)
