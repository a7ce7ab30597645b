"""What follows from the requests for an approval of a turn that waits in place: answers, calls, or a longer wait?"""

from collections.abc import Callable, Mapping, Sequence
from copy import replace
from typing import Final

from msgspec import Struct

from domain.content.items import Item, ItemKind, ItemStatus
from domain.log.transcript import Transcript
from domain.tools.approvals import NOT_IN_TIME, Approval, Decision
from domain.tools.planned_calls import MOST_ASKED

NOT_RECORDED: Final = "This call cannot be asked for."

type NewApproval = Callable[[Item], Approval | None]
"""Returns the record of a request; None where its tool is not offered."""


class WaitPlan(Struct, frozen=True, kw_only=True):
    """The records to create and to change, the requests that are answered now, and those that stay open.

    `is_over`: the turn waits no longer, although some requests have no answer.
    """

    new: tuple[Approval, ...] = ()
    changed: tuple[Approval, ...] = ()
    answered: tuple[tuple[Item, Decision], ...] = ()
    open: tuple[Approval, ...] = ()
    is_over: bool = False

    def until(self, ends_at: float) -> float:
        """Return when to look again at the latest, where nobody decides before."""
        return min((ends_at, *(each.expires_at for each in self.open)))


def plan_wait(
    requests: Sequence[Item], known: Mapping[str, Approval], new: NewApproval, *, now: float, ends_at: float
) -> WaitPlan:
    """Decide for each request that has no answer in the log. What has expired, and what nobody can decide, is denied.

    The turn waits until `ends_at` at most. Then the requests stay open for a later turn.
    """
    plan = WaitPlan()
    for request in requests:
        approval = known.get(request.id)
        if approval is None:
            made = new(request) if len(plan.new) < MOST_ASKED else None
            plan = after_new(plan, request, made, is_over=now >= ends_at, now=now)
        elif approval.decision or approval.has_expired(now):
            decided = approval.decision or denied(NOT_IN_TIME, now)
            done = replace(approval, decision=decided, waits=False)
            plan = replace(plan, changed=(*plan.changed, done), answered=(*plan.answered, (request, decided)))
        elif now >= ends_at:
            released = (replace(approval, waits=False),) if approval.waits else ()
            plan = replace(plan, changed=(*plan.changed, *released), is_over=True)
        else:
            plan = replace(plan, open=(*plan.open, approval))
    return plan


def after_new(plan: WaitPlan, request: Item, made: Approval | None, *, is_over: bool, now: float) -> WaitPlan:
    if made is None:
        return replace(plan, answered=(*plan.answered, (request, denied(NOT_RECORDED, now))))
    made = replace(made, waits=not is_over)
    opened = () if is_over else (made,)
    return replace(plan, new=(*plan.new, made), open=(*plan.open, *opened), is_over=plan.is_over or is_over)


def denied(reason: str, at: float) -> Decision:
    """Return the decision that nobody has made."""
    return Decision(approves=False, reason=reason, by="", at=at)


def unanswered_requests(log: Transcript) -> tuple[Item, ...]:
    """Return the requests in a turn's own log that have no answer there."""
    answered = {item.approval for item in log.items if item.kind is ItemKind.APPROVAL_RESPONSE}
    asked = (item for item in log.items if item.kind is ItemKind.APPROVAL_REQUEST)
    return tuple(item for item in asked if item.id not in answered)


def approved_calls(log: Transcript) -> tuple[Item, ...]:
    """Return the approved calls that have not ended."""
    calls = (item for item in log.items if item.kind is ItemKind.MCP_CALL and item.approval)
    return tuple(item for item in calls if item.status is ItemStatus.IN_PROGRESS)


def hands_back(log: Transcript) -> bool:
    """Tell whether the caller's functions were called too, so that the turn ends after the approvals."""
    return any(item.kind is ItemKind.FUNCTION_CALL and item.round == log.rounds for item in log.items)
