"""Which limit makes the model answer, and what may it call until then?"""

from copy import replace
from decimal import Decimal

import pytest

from domain.content.items import Item, ItemKind
from domain.content.tools import FunctionTool, ToolChoice, ToolConfig
from domain.log.events import CALLS, AttemptOutcome
from domain.log.transcript import Transcript
from domain.tools.catalog import LoopLimits, ServerTool, ToolServer, ToolServers
from domain.tools.outcomes import INVALID_PARAMS, OVER_BUDGET
from domain.tools.result_pages import READ_RESULT
from domain.tools.rounds import (
    BUDGET,
    ENDING_NOTE,
    INVALID_ARGUMENTS,
    MAX_ROUNDS,
    MAX_TOOL_CALLS,
    calls_left,
    can_call_servers,
    largest_result,
    limit_note,
    most_calls,
    next_round_cost,
    reached_limit,
    tools_of_round,
)

LIMITS = LoopLimits(max_rounds=3, max_tool_calls=4)
FIND = FunctionTool(name="find", server="shop")
CONFIG = ToolConfig(functions=(FIND, FunctionTool(name="own")), tool_choice=ToolChoice.REQUIRED)


def call(number: int = 1, **changes: object) -> Item:
    return replace(Item(id="mcp_1", kind=ItemKind.MCP_CALL, name="find", server="shop", round=number), **changes)


def invalid(number: int) -> Item:
    return call(number, error={"code": INVALID_PARAMS})


@pytest.mark.parametrize(("asked", "most"), [(None, 4), (0, 0), (3, 3), (9, 4)])
def test_the_lower_limit_of_calls_counts(asked: int | None, most: int) -> None:
    assert most_calls(replace(CONFIG, max_tool_calls=asked), LIMITS) == most


def test_calls_of_servers_count_and_those_of_the_caller_do_not() -> None:
    items = (call(), call(kind=ItemKind.FILE_SEARCH), call(kind=ItemKind.FUNCTION_CALL))
    assert calls_left(CONFIG, Transcript(items=items), LIMITS) == 2
    assert calls_left(CONFIG, Transcript(items=items * 5), LIMITS) == 0


@pytest.mark.parametrize(
    ("log", "limit"),
    [
        (Transcript(), ""),
        (Transcript(rounds=2, items=(call(),)), ""),
        (Transcript(rounds=3), MAX_ROUNDS),
        (Transcript(rounds=2, items=(invalid(1), invalid(1), invalid(2))), ""),
        (Transcript(rounds=2, items=(invalid(1), invalid(2), invalid(3))), INVALID_ARGUMENTS),
        (Transcript(rounds=1, items=(call(error={"content": OVER_BUDGET}),)), BUDGET),
        (Transcript(rounds=1, items=(call(),) * 4), MAX_TOOL_CALLS),
        (Transcript(rounds=0, items=(call(),) * 4), ""),
    ],
)
def test_the_limit_that_is_reached_is_named(log: Transcript, limit: str) -> None:
    assert reached_limit(CONFIG, log, LIMITS) == limit


def test_at_a_limit_no_tool_may_be_called() -> None:
    assert tools_of_round(CONFIG, Transcript(), LIMITS).tool_choice is ToolChoice.REQUIRED
    assert tools_of_round(CONFIG, Transcript(rounds=1), LIMITS).tool_choice is ToolChoice.AUTO
    at_limit = tools_of_round(CONFIG, Transcript(rounds=3), LIMITS)
    assert at_limit == replace(CONFIG, tool_choice=ToolChoice.NONE)
    assert not can_call_servers(at_limit)


def test_pages_are_offered_after_a_result_that_was_cut() -> None:
    log = Transcript(rounds=1, items=(call(whole=9000),))
    assert [each.name for each in tools_of_round(CONFIG, log, LIMITS).functions] == ["find", "own", READ_RESULT]


def test_another_round_can_follow_only_where_a_server_can_be_called() -> None:
    assert can_call_servers(CONFIG)
    assert not can_call_servers(replace(CONFIG, allowed_names=("own",)))


def test_the_largest_result_is_that_of_a_tool_that_may_be_called() -> None:
    tools = {
        "find": ServerTool(name="find", max_result_tokens=70),
        "list": ServerTool(name="list", max_result_tokens=900),
    }
    servers = ToolServers(known={"shop": ToolServer(label="shop", address="https://host", tools=tools)})
    both = replace(CONFIG, functions=(FIND, replace(FIND, name="list"), replace(FIND, server="gone")))
    assert largest_result(both, servers) == 900
    assert largest_result(replace(both, allowed_names=("shop__find",)), servers) == 70
    assert largest_result(replace(both, tool_choice=ToolChoice.NONE), servers) == 0


def test_the_next_round_may_cost_half_as_much_again() -> None:
    assert next_round_cost(Decimal("0.02")) == Decimal("0.03")


def test_the_limit_is_noted_only_where_one_was_reached() -> None:
    outcome = AttemptOutcome(attempt=1, result=CALLS)
    assert limit_note(Transcript()) == limit_note(Transcript(outcome=outcome)) == {}
    assert limit_note(Transcript(outcome=replace(outcome, limit=BUDGET))) == {ENDING_NOTE: BUDGET}
