"""Which answers to requests for an approval may a turn give, and which field is named otherwise?"""

from copy import replace

import pytest

from api.approvals.answers import (
    ApprovalAnswer,
    ApprovalAnswers,
    answered,
    answers_in,
    check_agreement,
    check_count,
    check_decision,
    last_output,
)
from domain.content.items import Item, ItemKind, Role
from domain.content.tools import FunctionTool, ToolConfig
from domain.errors import ApproverRequired, Invalid
from domain.tools.approvals import Approval, Decision, pin_of
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.tools import shop
from tests.fakes.worlds import OWNER

CLOSE = FunctionTool(name="close_shop", server="shop", writes=True)
OFFER = ToolConfig(functions=(CLOSE,))
REQUEST = Item(id="mcpr_1", kind=ItemKind.APPROVAL_REQUEST)
CLOCK = FakeClock()
ASKED = Approval(
    request="mcpr_1",
    response="resp_1",
    server="shop",
    tool="close_shop",
    pin=pin_of(CLOSE),
    arguments_hash="",
    asked_at=CLOCK.now(),
    expires_at=CLOCK.now() + 60,
)
YES = Decision(approves=True, reason="", by=OWNER.subject, at=CLOCK.now())
NO = replace(YES, approves=False)
NOBODY = replace(NO, by="")


def response(approves: bool, request: str = "mcpr_1") -> Item:  # noqa: FBT001 - the answer
    return Item(id="", kind=ItemKind.APPROVAL_RESPONSE, role=Role.USER, approval=request, approves=approves)


def answer(approves: bool, approval: Approval = ASKED, at: int = 0) -> ApprovalAnswer:  # noqa: FBT001 - the answer
    return ApprovalAnswer(item=response(approves), approval=approval, field=f"input[{at}].approval_request_id")


def answers() -> ApprovalAnswers:
    return ApprovalAnswers(TurnStore(MemoryStore(CLOCK), CLOCK, WebhookEndpoints()), shop())


def test_answers_are_found_with_their_places_but_not_approvals_whose_calls_were_run() -> None:
    items = [REQUEST, response(True), response(False), response(True, "mcpr_2")]
    assert list(answers_in(items, "input", run={"mcpr_1"})) == [
        (2, "input[2].approval_request_id"),
        (3, "input[3].approval_request_id"),
    ]


def test_a_request_is_answered_by_a_response_or_by_its_call() -> None:
    call = Item(id="mcp_1", kind=ItemKind.MCP_CALL, approval="mcpr_3")
    assert answered([REQUEST, response(False, "mcpr_2"), call]) == {"mcpr_2", "mcpr_3"}


def test_the_last_output_is_that_of_a_model() -> None:
    said, asked = Item(id="", role=Role.ASSISTANT), Item(id="", role=Role.USER)
    assert [last_output(each) for each in ([], [asked], [said, asked], [asked, said, said])] == [-1, -1, 0, 2]


@pytest.mark.parametrize(("before", "word"), [(YES, "approved"), (NO, "denied")])
def test_a_decision_is_final(before: Decision, word: str) -> None:
    stored = ASKED.decided(before)
    check_decision(answer(before.approves), stored)
    check_decision(answer(not before.approves), ASKED)
    with pytest.raises(Invalid, match=f"was {word} before") as caught:
        check_decision(answer(not before.approves, at=4), stored)
    assert (caught.value.field, caught.value.code) == ("input[4].approval_request_id", "approval_already_decided")


def test_two_answers_to_one_request_have_to_agree() -> None:
    other = replace(ASKED, request="mcpr_2")
    check_agreement([answer(True), answer(True, at=1), answer(False, other, at=2)])
    with pytest.raises(Invalid, match=r"'input\[1\]\.approval_request_id' gives another answer") as caught:
        check_agreement([answer(False, other), answer(True, at=1), answer(False, at=2)])
    assert caught.value.field == "input[2].approval_request_id"


def test_only_new_approvals_of_different_requests_count() -> None:
    other, before = replace(ASKED, request="mcpr_2"), replace(ASKED.decided(YES), request="mcpr_3")
    given = [answer(True), answer(True), answer(True, other), answer(True, before), answer(False)]
    check_count(given, most=2, field="input")
    with pytest.raises(Invalid, match="2 calls are approved, but the turn may make at most 1") as caught:
        check_count(given, most=1, field="input")
    assert caught.value.field == "input"


@pytest.mark.parametrize("approves", [True, False])
@pytest.mark.parametrize("late", [replace(ASKED, expires_at=CLOCK.now()), ASKED.decided(NOBODY)])
def test_an_expired_request_can_not_be_answered(approves: bool, late: Approval) -> None:  # noqa: FBT001 - a table
    with pytest.raises(Invalid) as caught:
        answers().check(answer(approves, late), OFFER)
    assert (caught.value.field, caught.value.code) == ("input[0].approval_request_id", "approval_expired")


@pytest.mark.parametrize(
    "offer", [ToolConfig(), ToolConfig(functions=(FunctionTool(name="close_shop", server="shop", description="New"),))]
)
def test_a_call_is_approved_only_where_its_tool_is_offered_as_it_was(offer: ToolConfig) -> None:
    one = answers()
    one.check(answer(True), OFFER)
    one.check(answer(False), offer)
    one.check(answer(True, ASKED.decided(YES)), offer)
    with pytest.raises(Invalid, match="'close_shop' of the server 'shop' is not offered, or has changed") as caught:
        one.check(answer(True), offer)
    assert caught.value.field == "tools"


def test_an_owner_does_not_approve_what_somebody_else_has_to() -> None:
    one, guarded = answers(), replace(ASKED, four_eyes=True)
    one.check_decider(answer(True), OWNER)
    one.check_decider(answer(False, guarded), OWNER)
    one.check_decider(answer(True, guarded.decided(YES)), OWNER)
    with pytest.raises(ApproverRequired):
        one.check_decider(answer(True, guarded), OWNER)


async def test_an_unknown_request_is_named_but_not_an_old_denial() -> None:
    one, known = answers(), {"mcpr_1"}
    assert await one.answer(OWNER, response(False), known, "input[0]", is_old=True) is None
    for given, is_old in ((response(True), True), (response(False), False), (response(True, "mcpr_9"), False)):
        with pytest.raises(Invalid) as caught:
            await one.answer(OWNER, given, known, "input[0]", is_old=is_old)
        assert (caught.value.field, caught.value.code) == ("input[0]", "approval_not_found")
