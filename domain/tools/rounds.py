"""Which tools may the model call in the next round of a turn, and which of its calls are run?"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from typing import Final

from domain.content.items import SERVER_CALLS
from domain.content.tools import ToolChoice, ToolConfig
from domain.log.transcript import Transcript
from domain.tools.catalog import LoopLimits, ToolServers
from domain.tools.outcomes import OVER_BUDGET
from domain.tools.repeats import rounds_with_invalid_calls
from domain.tools.result_pages import with_result_pages
from domain.tools.source_tools import as_offered

MAX_ROUNDS: Final = "max_rounds"
MAX_TOOL_CALLS: Final = "max_tool_calls"
INVALID_ARGUMENTS: Final = "invalid_arguments"
BUDGET: Final = "budget"
CONTEXT: Final = "context"
DEADLINE: Final = "deadline"

NEXT_ROUND: Final = Decimal("1.5")
"""How much more the next round may cost than this one: its prompt has the results of this one's calls."""

INVALID_ROUNDS: Final = 2
"""How many rounds with invalid arguments return to the model for correction."""

ENDING_NOTE: Final = "ganglion_ending"

REACHED: Final[Mapping[str, str]] = {
    MAX_ROUNDS: "The limit of rounds of calls is reached. Answer from what is there.",
    MAX_TOOL_CALLS: "The limit of tool calls is reached. This call was not run; answer from what is there.",
}


def most_calls(config: ToolConfig, limits: LoopLimits) -> int:
    """Return how many calls of servers' tools a turn may make, the approved ones included."""
    most = limits.max_tool_calls if config.max_tool_calls is None else config.max_tool_calls
    return min(most, limits.max_tool_calls)


def calls_left(config: ToolConfig, log: Transcript, limits: LoopLimits) -> int:
    """Return how many more calls of servers' tools the turn may make."""
    made = sum(item.kind in SERVER_CALLS for item in log.items)
    return max(0, most_calls(config, limits) - made)


def reached_limit(config: ToolConfig, log: Transcript, limits: LoopLimits) -> str:
    """Return the name of the limit because of which the model must answer now; empty where it may call tools."""
    if log.rounds >= limits.max_rounds:
        return MAX_ROUNDS
    if rounds_with_invalid_calls(log.items) > INVALID_ROUNDS:
        return INVALID_ARGUMENTS
    if any(item.error and item.error.get("content") == OVER_BUDGET for item in log.items):
        return BUDGET
    return MAX_TOOL_CALLS if log.rounds and not calls_left(config, log, limits) else ""


def tools_of_round(config: ToolConfig, log: Transcript, limits: LoopLimits) -> ToolConfig:
    """Return the tools of the next round. At a limit, the round forbids calls and answers from what is there."""
    tools = with_result_pages(config.after_rounds(log.rounds), log.items)
    return without_calls(tools) if reached_limit(config, log, limits) else tools


def without_calls(tools: ToolConfig) -> ToolConfig:
    """Return the tools of a round in which the model has to answer."""
    return replace(tools, tool_choice=ToolChoice.NONE)


def next_round_cost(reserved: Decimal) -> Decimal:
    """Return what a budget needs for the next round, where `reserved` dollars are reserved for this one."""
    return reserved * NEXT_ROUND


def largest_result(tools: ToolConfig, servers: ToolServers) -> int:
    """Return the most tokens that a result of a tool may have which the model may call; 0 where there is none."""
    offered = [(servers.known.get(each.server), each.name) for each in tools.callable_functions if each.server]
    found = [(server, server.rights(name)) for server, name in offered if server]
    sizes = (as_offered(tools, server, tool).max_result_tokens for server, tool in found if tool)
    return max(sizes, default=0)


def can_call_servers(tools: ToolConfig) -> bool:
    """Tell whether the model may call tools of servers, so that another round can follow."""
    return any(each.server for each in tools.callable_functions)


def limit_note(log: Transcript) -> dict[str, str]:
    """Return the note that names the limit because of which the model had to answer without more calls."""
    return {ENDING_NOTE: log.outcome.limit} if log.outcome and log.outcome.limit else {}
