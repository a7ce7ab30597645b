"""How are requests for an approval listed and decided while their turns wait?"""

from functools import partial
from typing import Any

from azurefunctions.extensions.http.fastapi import Request, Response

from api.approvals.items import ApprovalResponseInput
from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.pagination import continued_list, read_newest_first, unknown_cursor
from api.http.request_body import BodyReader
from api.http.validation import validated
from api.rendering.response import Json, openai_from_item
from clients.clock import Clock
from clients.orchestrations import OpenOrchestrations
from domain.content.items import Item, ItemKind
from domain.errors import ApproverRequired, Invalid, NotFound
from domain.identity.owners import Owner
from domain.ids import member_id, own_token, thread_of
from domain.tools.approvals import Approval, Decision, decider_of
from domain.tools.catalog import ToolServers
from domain.turns import response as domain_turns
from state.approvals.index import is_open_id, open_id
from state.approvals.waits import ApprovalWaits
from state.rate_limits import RateLimiter
from state.turns.responses import TurnStore, no_response

FIELD = "approval_request_id"
OWNER_MAY_NOT = (
    "The owner of a turn may not decide calls of this server. Somebody else with one of its app roles has to."
)

type Turn = domain_turns.Response


class ApprovalFunctions:
    """The HTTP functions of approvals in place. `client` is the durable client of the invocation."""

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        limits: RateLimiter,
        bodies: BodyReader,
        turns: TurnStore,
        waits: ApprovalWaits,
        servers: ToolServers,
        open_orchestrations: OpenOrchestrations,
        clock: Clock,
    ) -> None:
        self.authenticator = authenticator
        self.limits = limits
        self.bodies = bodies
        self.turns = turns
        self.waits = waits
        self.index = waits.index
        self.servers = servers
        self.open_orchestrations = open_orchestrations
        self.clock = clock

    async def list(self, req: Request) -> Response:
        """`GET /v1/approvals`: the open requests that the caller may decide, newest first"""
        caller = await owner_of(req, self.authenticator)
        wanted = read_newest_first(req)
        after = await self.cursor(caller, wanted.after) if wanted.after else ""

        async def load(owner: Owner, request: str, asked_at: float) -> Json | None:
            approval = await self.turns.approvals.find(owner, request)
            if approval is None or approval.asked_at != asked_at or not approval.is_open(self.clock.now()):
                return None
            if not decider_of(approval, self.servers, owner, caller).may_decide:
                return None
            return approval_object(approval, owner) if await self.is_running(owner, approval.response) else None

        whole_tenant = self.is_approver(caller)
        page = await self.index.page(caller, load, whole_tenant=whole_tenant, after=after, limit=wanted.limit)
        is_listed = bool(page.found) and page.found[-1]["id"] == page.last
        return json_answer(continued_list(page.found, more=page.more, last=page.last if is_listed else page.entry))

    async def cursor(self, caller: Owner, request: str) -> str:
        """Return the entry of a request in the caller's list; raises Invalid.

        A page that ended with an entry that was left out has named the entry itself: its request may be gone.
        """
        if is_open_id(request):
            return request
        whole_tenant = self.is_approver(caller)
        owner = await self.index.named(caller.tenant, request) if whole_tenant else caller
        approval = await self.turns.approvals.find(owner, request) if owner else None
        if approval:
            return open_id(approval.asked_at, request)
        entry = await self.index.entry(caller, request, whole_tenant=whole_tenant)
        if not entry:
            raise unknown_cursor(request)
        return entry

    async def decide(self, req: Request, client: Any) -> Response:
        """`POST /v1/responses/{response_id}/approvals`: the decision is stored before the turn is woken"""
        caller = await owner_of(req, self.authenticator)
        given = await self.bodies.read(req, partial(validated, ApprovalResponseInput))
        await self.limits.take(caller)
        owner, turn = await self.turn(caller, req.path_params["response_id"], given.approval_request_id)
        approval = await self.asked(owner, turn, given.approval_request_id)
        if approval is None or approval.response != turn.id:
            raise not_asked(given.approval_request_id, turn.id)
        self.check_decider(approval, owner, caller)
        decided = approval if approval.decision else await self.decided(turn, approval, given, caller)
        check_same(decided, given, now=self.clock.now())
        if decided.waits and not turn.status.is_terminal:
            await self.open_orchestrations(client).signal_decided(turn.id, decided.request)
        return json_answer(openai_from_item(answer_of(decided)))

    async def asked(self, owner: Owner, turn: Turn, request: str) -> Approval | None:
        """Return a request; one that the turn's log shows can be decided before the turn begins to wait."""
        return await self.turns.approvals.find(owner, request) or await self.waits.unasked(turn, request)

    async def turn(self, caller: Owner, response_id: str, request: str) -> tuple[Owner, Turn]:
        """Return the turn that asks, and its owner: the caller, or another one of its tenant; raises NotFound."""
        try:
            return caller, await self.turns.read(caller, response_id)
        except NotFound:
            named = await self.index.named(caller.tenant, request) if self.is_approver(caller) else None
            if named is None:
                raise no_response(response_id) from None
            return named, await self.turns.read(named, response_id)

    def is_approver(self, caller: Owner) -> bool:
        """Tell whether the caller has a role that decides requests of others."""
        return any(not each.approvers.isdisjoint(caller.roles) for each in self.servers.known.values())

    def check_decider(self, approval: Approval, owner: Owner, caller: Owner) -> None:
        """Raise ApproverRequired for an owner who may not decide, and NotFound for anybody else who may not."""
        decider = decider_of(approval, self.servers, owner, caller)
        if decider.may_decide:
            return
        if decider.is_owner:
            raise ApproverRequired(OWNER_MAY_NOT)
        raise no_response(approval.response)

    async def decided(self, turn: Turn, approval: Approval, given: ApprovalResponseInput, caller: Owner) -> Approval:
        """Record a decision; return the request, which may have another one. Raises Invalid where it does not wait."""
        now = self.clock.now()
        if approval.has_expired(now):
            raise expired()
        if turn.status.is_terminal or not approval.waits:
            raise not_waiting(turn)
        decision = Decision(approves=given.approve, reason=given.reason or "", by=caller.subject, at=now)
        try:
            stored = await self.turns.approvals.decide(turn.owner, approval, decision, in_place=True)
        except NotFound:
            stored = await self.waits.decide_early(turn.owner, approval, decision)
        if stored.decision is None:
            raise not_waiting(turn)
        await self.index.remove(turn.owner, [stored])
        return stored

    async def is_running(self, owner: Owner, response_id: str) -> bool:
        try:
            return not (await self.turns.read(owner, response_id)).status.is_terminal
        except NotFound:
            return False


def check_same(decided: Approval, given: ApprovalResponseInput, *, now: float) -> None:
    """Raise Invalid where a request has expired, or was decided otherwise before."""
    if decided.has_expired(now):
        raise expired()
    if decided.decision and decided.decision.approves is not given.approve:
        word = "approved" if decided.decision.approves else "denied"
        message = f"Invalid '{FIELD}': the request was {word} before; a decision is final."
        raise Invalid(message, field=FIELD, code="approval_already_decided")


def expired() -> Invalid:
    message = f"Invalid '{FIELD}': the request has expired, which counts as denied."
    return Invalid(message, field=FIELD, code="approval_expired")


def not_waiting(turn: Turn) -> Invalid:
    """Return the error of a request whose turn does not wait any more, or has never waited."""
    if not turn.options.approval_wait_s or turn.status.value == "completed":
        message = f"Invalid '{FIELD}': the response has ended. Answer in the input of a response that continues it."
        return Invalid(message, field=FIELD, code="approval_not_found")
    message = f"Invalid '{FIELD}': the response is {turn.status.value} and no longer waits for a decision."
    return Invalid(message, field=FIELD, code="approval_expired")


def not_asked(request: str, response_id: str) -> Invalid:
    message = f"Invalid '{FIELD}': the response {response_id} has no approval request {request[:80]!r}."
    return Invalid(message, field=FIELD, code="approval_not_found")


def answer_of(decided: Approval) -> Item:
    """Return the item by which the response shows the answer."""
    decision, thread = decided.decision, thread_of(decided.request) or ""
    return Item(
        id=member_id("mcpa", thread=thread, token=own_token(decided.request)),
        kind=ItemKind.APPROVAL_RESPONSE,
        approval=decided.request,
        approves=bool(decision and decision.approves),
        text=decision.reason if decision else "",
    )


def approval_object(approval: Approval, owner: Owner) -> Json:
    """Return an open request. Times are seconds since the epoch."""
    return {
        "id": approval.request,
        "object": "approval",
        "type": "mcp_approval_request",
        "response_id": approval.response,
        "owner": owner.subject,
        "server_label": approval.server,
        "name": approval.tool,
        "arguments": approval.arguments,
        "created_at": approval.asked_at,
        "expires_at": approval.expires_at,
    }
