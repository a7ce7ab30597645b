"""Which calls of an answer are run, which are asked for, and which are only shown?"""

from collections.abc import Sequence
from itertools import count

from domain.content.items import ItemKind, ItemStatus
from domain.content.tools import FunctionCall
from domain.log.events import CALLS, AttemptOutcome, EventKind
from domain.sources.file_search import SEARCH_SERVER
from domain.tools.planned_calls import MOST_ASKED, NOT_RUN, PlannedCalls, never, planned_calls

OWN = FunctionCall(name="own", arguments="{}", call_id="theirs")
FIND = FunctionCall(name="find", arguments="{}", server="shop")
PAY = FunctionCall(name="pay", arguments="{}", server="shop")
SEARCH = FunctionCall(name="search", arguments="{}", server=SEARCH_SERVER)


def is_pay(call: FunctionCall) -> bool:
    return call.name == "pay"


def plan(*calls: FunctionCall, most: int = 99) -> PlannedCalls:
    numbers = count(1)
    return planned_calls(
        calls,
        asks=is_pay,
        first=2,
        round_number=3,
        most=most,
        new_id=lambda prefix: f"{prefix}_{next(numbers)}",
        new_token=lambda: "token",
    )


def kinds(planned: PlannedCalls) -> Sequence[tuple[int, ItemKind, int]]:
    """Return the index, the kind and the round of each item."""
    return [(each.output, each.header.kind, each.header.round) for each in planned.events if each.header]


def test_each_call_has_its_form_and_its_place() -> None:
    found = plan(OWN, FIND, PAY, SEARCH)
    assert (found.run, found.asked) == (("mcp_2", "fs_4"), ("mcpr_3",))
    assert (found.has_server_calls, found.has_functions) == (True, True)
    assert kinds(found) == [
        (2, ItemKind.FUNCTION_CALL, 3),
        (3, ItemKind.MCP_CALL, 3),
        (4, ItemKind.APPROVAL_REQUEST, 3),
        (5, ItemKind.FILE_SEARCH, 3),
    ]


def test_no_round_follows_the_caller_s_functions_alone() -> None:
    found = plan(OWN)
    assert kinds(found) == [(2, ItemKind.FUNCTION_CALL, 0)]
    assert (found.run, found.asked, found.has_server_calls) == ((), (), False)


def test_a_call_beyond_the_limit_fails_and_is_shown() -> None:
    found = plan(FIND, PAY, FIND, PAY, most=2)
    assert (found.run, found.asked) == (("mcp_1",), ("mcpr_2",))
    assert [each.output for each in found.events if each.result == NOT_RUN] == [4, 5]
    ended = {each.output: each.status for each in found.events if each.kind is EventKind.ITEM_DONE}
    assert ended == {3: ItemStatus.COMPLETED, 4: ItemStatus.FAILED, 5: ItemStatus.FAILED}


def test_a_turn_asks_for_as_many_approvals_as_one_commit_can_record() -> None:
    found = plan(*[PAY] * (MOST_ASKED + 2), FIND)
    assert (len(found.asked), len(found.run)) == (MOST_ASKED, 1)
    assert sum(each.result == NOT_RUN for each in found.events) == 2


def test_an_outcome_names_the_calls_and_whether_only_the_caller_can_go_on() -> None:
    outcome = AttemptOutcome(attempt=1, result="done")
    assert plan(OWN).named_in(outcome) == outcome
    run = plan(FIND).named_in(outcome)
    assert (run.result, run.calls, run.hands_back) == (CALLS, ("mcp_1",), False)
    assert plan(FIND, OWN).named_in(outcome).hands_back
    assert plan(PAY).named_in(outcome).hands_back


def test_nobody_is_asked_where_nothing_needs_it() -> None:
    assert not never(PAY)
