"""Which decision of a request that waits in place is refused, and how are requests and answers shown?"""

from copy import replace
from typing import Any

import pytest

from api.approvals.decisions import answer_of, approval_object, check_same, not_asked, not_waiting
from api.approvals.items import ApprovalResponseInput
from domain.content.items import ItemKind
from domain.errors import Invalid
from domain.ids import member_id
from domain.log.events import ResponseStatus
from domain.tools.approvals import Approval, Decision
from domain.turns.response import Response, ResponseOptions
from domain.turns.response_progress import ResponseProgress
from tests.fakes.worlds import OWNER, THREAD

REQUEST = member_id("mcpr", thread=THREAD, token="b" * 24)
ASKED = Approval(
    request=REQUEST,
    response=member_id("resp", thread=THREAD, token="c" * 24),
    server="shop",
    tool="close_shop",
    pin="",
    arguments_hash="",
    asked_at=1000.0,
    expires_at=1060.0,
    waits=True,
    arguments='{"shop": 1}',
)
YES = Decision(approves=True, reason="fine", by="user:boss", at=1010.0)


def given(*, approve: bool) -> ApprovalResponseInput:
    return ApprovalResponseInput(approval_request_id=REQUEST, approve=approve)


def turn(status: ResponseStatus, *, wait_s: float = 600.0) -> Response:
    return Response(
        id=ASKED.response,
        owner=OWNER,
        created_at=1000.0,
        deadline_at=2000.0,
        options=ResponseOptions(model="auto", approval_wait_s=wait_s),
        progress=ResponseProgress(status=status),
    )


@pytest.mark.parametrize(
    ("decided", "approve", "code"),
    [
        (ASKED.decided(YES), False, "approval_already_decided"),
        (ASKED.decided(replace(YES, approves=False)), True, "approval_already_decided"),
        (ASKED.decided(replace(YES, approves=False, by="")), False, "approval_expired"),
        (replace(ASKED, expires_at=1010.0), True, "approval_expired"),
    ],
)
def test_what_expired_or_was_decided_otherwise_is_refused(*, decided: Approval, approve: bool, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_same(decided, given(approve=approve), now=1010.0)
    assert (caught.value.field, caught.value.code) == ("approval_request_id", code)


@pytest.mark.parametrize("approve", [True, False])
def test_the_same_decision_again_is_no_error_however_late(*, approve: bool) -> None:
    check_same(ASKED.decided(replace(YES, approves=approve)), given(approve=approve), now=9e9)


@pytest.mark.parametrize(
    ("one", "code", "says"),
    [
        (turn(ResponseStatus.COMPLETED), "approval_not_found", "the response has ended. Answer in the input"),
        (turn(ResponseStatus.IN_PROGRESS, wait_s=0.0), "approval_not_found", "the response has ended"),
        (turn(ResponseStatus.CANCELLED), "approval_expired", "is cancelled and no longer waits"),
        (turn(ResponseStatus.FAILED), "approval_expired", "is failed and no longer waits"),
    ],
)
def test_why_a_turn_does_not_wait_is_told(one: Response, code: str, says: str) -> None:
    error = not_waiting(one)
    assert (error.field, error.code) == ("approval_request_id", code)
    assert says in str(error)


def test_an_unknown_request_is_cut_in_its_error() -> None:
    error = not_asked("x" * 200, "resp_1")
    assert str(error).endswith(f"has no approval request '{'x' * 80}'.")
    assert error.code == "approval_not_found"


@pytest.mark.parametrize("decision", [YES, replace(YES, approves=False)])
def test_an_answer_belongs_to_its_request_and_has_an_id_of_the_same_token(decision: Decision) -> None:
    item = answer_of(ASKED.decided(decision))
    assert (item.id, item.approval) == (member_id("mcpa", thread=THREAD, token="b" * 24), REQUEST)
    assert (item.kind, item.approves, item.text) == (ItemKind.APPROVAL_RESPONSE, decision.approves, "fine")


def test_an_open_request_shows_what_would_be_called_and_until_when() -> None:
    shown: dict[str, Any] = approval_object(ASKED, OWNER)
    assert (shown["id"], shown["response_id"], shown["owner"]) == (REQUEST, ASKED.response, OWNER.subject)
    assert (shown["server_label"], shown["name"], shown["arguments"]) == ("shop", "close_shop", '{"shop": 1}')
    assert (shown["created_at"], shown["expires_at"]) == (1000.0, 1060.0)
