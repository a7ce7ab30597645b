"""What follows from each request of a turn that waits in place?"""

from copy import replace

import pytest

from domain.content.items import Item, ItemKind, ItemStatus
from domain.log.transcript import Transcript
from domain.tools.approval_waits import (
    NOT_RECORDED,
    WaitPlan,
    approved_calls,
    denied,
    hands_back,
    plan_wait,
    unanswered_requests,
)
from domain.tools.approvals import NOT_IN_TIME, Approval, Decision
from domain.tools.planned_calls import MOST_ASKED

NOW, ENDS = 100.0, 160.0
REQUEST = Item(id="mcpr_1", kind=ItemKind.APPROVAL_REQUEST, name="pay", server="shop")
YES = Decision(approves=True, reason="", by="user:1", at=90.0)
KNOWN = Approval(
    request="mcpr_1",
    response="resp_1",
    server="shop",
    tool="pay",
    pin="p",
    arguments_hash="h",
    asked_at=80.0,
    expires_at=130.0,
    waits=True,
)


def planned(approval: Approval | None, *, now: float = NOW, new: Approval | None = None) -> WaitPlan:
    known = {REQUEST.id: approval} if approval else {}
    return plan_wait([REQUEST], known, lambda _: new, now=now, ends_at=ENDS)


@pytest.mark.parametrize(
    ("approval", "now", "plan"),
    [
        (KNOWN, NOW, WaitPlan(open=(KNOWN,))),
        (KNOWN, ENDS, WaitPlan(changed=(replace(KNOWN, waits=False, decision=denied(NOT_IN_TIME, ENDS)),))),
        (replace(KNOWN, expires_at=999.0), ENDS, WaitPlan(changed=(replace(KNOWN, expires_at=999.0, waits=False),))),
        (replace(KNOWN, expires_at=999.0, waits=False), ENDS, WaitPlan()),
        (replace(KNOWN, decision=YES), NOW, WaitPlan(changed=(replace(KNOWN, decision=YES, waits=False),))),
        (replace(KNOWN, decision=YES), ENDS, WaitPlan(changed=(replace(KNOWN, decision=YES, waits=False),))),
    ],
)
def test_a_known_request_is_answered_released_or_stays_open(approval: Approval, now: float, plan: WaitPlan) -> None:
    found = planned(approval, now=now)
    assert (found.new, found.changed, found.open) == (plan.new, plan.changed, plan.open)
    is_decided = any(each.decision for each in found.changed)
    assert found.answered == tuple((REQUEST, each.decision) for each in found.changed if each.decision)
    assert found.is_over is (now >= ENDS and not is_decided)


def test_a_new_request_is_recorded_and_waits_while_the_turn_does() -> None:
    fresh = replace(KNOWN, waits=False)
    assert planned(None, new=fresh) == WaitPlan(new=(KNOWN,), open=(KNOWN,))
    assert planned(None, now=ENDS, new=fresh) == WaitPlan(new=(fresh,), is_over=True)


def test_a_request_that_cannot_be_recorded_is_denied() -> None:
    assert planned(None) == WaitPlan(answered=((REQUEST, denied(NOT_RECORDED, NOW)),))
    requests = [replace(REQUEST, id=f"mcpr_{number}") for number in range(MOST_ASKED + 1)]
    found = plan_wait(requests, {}, lambda _: KNOWN, now=NOW, ends_at=ENDS)
    assert len(found.new) == MOST_ASKED
    assert found.answered == ((requests[-1], denied(NOT_RECORDED, NOW)),)


def test_the_next_look_is_at_the_first_expiry_or_at_the_end() -> None:
    assert WaitPlan().until(ENDS) == ENDS
    assert WaitPlan(open=(KNOWN, replace(KNOWN, expires_at=120.0))).until(ENDS) == 120.0
    assert WaitPlan(open=(replace(KNOWN, expires_at=999.0),)).until(ENDS) == ENDS


def test_the_log_tells_what_is_open() -> None:
    answer = Item(id="mcpa_1", kind=ItemKind.APPROVAL_RESPONSE, approval="mcpr_1", approves=True)
    call = Item(id="mcp_1", kind=ItemKind.MCP_CALL, approval="mcpr_1", status=ItemStatus.IN_PROGRESS)
    other = replace(REQUEST, id="mcpr_2")
    items = (REQUEST, other, answer, call, replace(call, status=ItemStatus.COMPLETED), replace(call, approval=""))
    assert unanswered_requests(Transcript(items=items)) == (other,)
    assert approved_calls(Transcript(items=items)) == (call,)


def test_a_turn_hands_back_where_the_last_round_called_the_caller_s_functions() -> None:
    own = Item(id="fc_1", kind=ItemKind.FUNCTION_CALL, round=1)
    assert hands_back(Transcript(items=(own,), rounds=1))
    assert not hands_back(Transcript(items=(own,), rounds=2))
    assert not hands_back(Transcript(items=(REQUEST,)))
