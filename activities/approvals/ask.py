"""How does a turn ask for approvals in place, and what follows from the answers?

While it waits, nothing runs for it: it does not count as running, and its reservation is set aside.
"""

from activities.routing.request_size import NOTHING, added_size, with_added
from domain import wire
from domain.approval_wire import AskedWire
from domain.content.items import Item
from domain.content.server_calls import not_run
from domain.identity.owners import Owner
from domain.tools.approval_waits import hands_back
from domain.tools.approvals import Decision
from state.approvals.reservations import ReservationsAside
from state.approvals.waits import ApprovalWaits, WaitState
from state.rate_limits import RateLimiter
from telemetry.tool import count_decision


class AskApprovals:
    """Asks, waits and carries out. A repeat finds what it has done in the log and in the records."""

    def __init__(self, *, waits: ApprovalWaits, reservations: ReservationsAside, limits: RateLimiter) -> None:
        self.waits = waits
        self.reservations = reservations
        self.limits = limits

    async def ask(self, request: wire.TurnWire) -> AskedWire:
        owner = wire.owner_from_wire(request)
        state = await self.waits.advance(owner, request["response"])
        for item, decision in state.plan.answered:
            count_decision(item.server, item.name, decision)
        asked = asked_wire(state)
        if asked["follows"] == "wait":
            await self.reservations.set_aside(owner, request["response"])
        elif asked["follows"] != "ended":
            await self.resume(owner, request["response"])
        return asked

    async def resume(self, owner: Owner, response_id: str) -> None:
        """Let the turn count as running again."""
        await self.reservations.take_up(owner, response_id)
        await self.limits.resume(owner, response_id)


def asked_wire(state: WaitState) -> AskedWire:
    asked: AskedWire = {"follows": "ended", "calls": [], "open": [], "until": 0.0, "added": NOTHING}
    if state.response.status.is_terminal or state.log.ending:
        return asked
    for item, decision in state.plan.answered:
        asked["added"] = with_added(asked["added"], denial_size(item, decision))
    if state.calls:
        return {**asked, "follows": "call", "calls": [each.id for each in state.calls]}
    if state.plan.open:
        return {**asked, "follows": "wait", "open": [each.request for each in state.plan.open], "until": state.until}
    ends = state.plan.is_over or hands_back(state.log)
    return {**asked, "follows": "end" if ends else "answer"}


def denial_size(request: Item, decision: Decision) -> wire.SizeWire:
    """Return what the denial of a call adds to the input of the next round; an approved call adds its own."""
    if decision.approves:
        return NOTHING
    answer = Item(id="", text=decision.reason, approves=False)
    return added_size([request.text, str((not_run(request, answer).error or {}).get("content", ""))])
