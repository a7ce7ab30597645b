"""Which calls of a round need an approval?

The file and the caller say which tools need one. Beyond that, every write needs one as soon as the model has read a
result of a server that is not trusted: the text may have told it to write. That includes results of earlier turns.
"""

from collections.abc import Iterable
from copy import replace
from typing import Self

from msgspec import Struct

from domain.content.items import SERVER_CALLS, Item, ItemStatus
from domain.content.tools import FunctionCall, FunctionTool, ToolConfig
from domain.tools.arguments import call_problem
from domain.tools.catalog import ServerTool, ToolApproval, ToolEffect, ToolServers
from domain.tools.result_pages import RESULT_SERVER


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
    return any(is_untrusted_result(each, servers) for each in items)


def is_untrusted_result(item: Item, servers: ToolServers) -> bool:
    """Tell whether an item is a call that has ended, at a server that is not trusted, with whatever result.

    A page of a result is what the call with that result was.
    """
    if item.kind not in SERVER_CALLS or item.status is ItemStatus.IN_PROGRESS or item.server == RESULT_SERVER:
        return False
    server = servers.known.get(item.server)
    return server is None or not server.trusted
