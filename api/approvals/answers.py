"""May a turn answer these requests for an approval, and does it answer all of them?

Everything is checked before the turn costs anything. A decision is recorded just before the turn is.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from msgspec import Struct

from domain.content.items import Item, ItemKind, Role
from domain.content.tools import ToolConfig
from domain.errors import ApproverRequired, Invalid, NotFound
from domain.identity.owners import Owner
from domain.tools.approvals import Approval, Decision, decider_of
from domain.tools.catalog import ToolServers
from state.turns.responses import TurnStore
from telemetry.tool import count_decision

MAX_REQUESTS = 256
"""So many answers to requests for an approval, and requests without one, are looked up for one turn."""

UNANSWERED = "The following MCP approval requests do not have an approval: {}"
"""The sentence of OpenAI, by which clients recognize the error and find the ids."""

FOUR_EYES = (
    "The owner of a turn may not approve calls of this server. Ask again in a background response with "
    "metadata.approval_wait_s, which waits until somebody else decides."
)


class ApprovalAnswer(Struct, frozen=True, kw_only=True):
    """An answer, the request that it decides, and its place in the request of the turn."""

    item: Item
    approval: Approval
    field: str


class ApprovalAnswers:
    """Checks and records the answers of new turns."""

    def __init__(self, turns: TurnStore, servers: ToolServers) -> None:
        self.turns = turns
        self.approvals = turns.approvals
        self.servers = servers
        self.clock = turns.clock

    async def checked(
        self, owner: Owner, config: ToolConfig, *, new: Sequence[Item], read: Sequence[Item], field: str
    ) -> tuple[ApprovalAnswer, ...]:
        """Return the answers among the new items; `read` is all that the model reads, the new items included.

        Raises Invalid for an answer that can't be given, and where a request has none.
        """
        asked = {item.request_id for item in read if item.kind is ItemKind.APPROVAL_REQUEST}
        given, unanswered = tuple(answers_in(new, field, run=run_in(read))), asked - answered(read)
        if len(given) + len(unanswered) > MAX_REQUESTS:
            message = f"Invalid '{field}': the turn has more than {MAX_REQUESTS} requests for an approval to answer."
            raise Invalid(message, field=field, code="invalid_value")
        last = last_output(new)
        found = [await self.answer(owner, new[at], asked, place, is_old=at < last) for at, place in given]
        answers = [each for each in found if each]
        for each in answers:
            self.check(each, config)
            self.check_decider(each, owner)
            await self.check_ended(each, owner)
        check_agreement(answers)
        await self.check_all_answered(owner, unanswered, field)
        return tuple(answers)

    async def answer(
        self, owner: Owner, item: Item, asked: set[str], field: str, *, is_old: bool
    ) -> ApprovalAnswer | None:
        """Return an answer; None for a denial that a model has gone on from, and whose request was deleted since."""
        approval = await self.approvals.find(owner, item.approval) if item.approval in asked else None
        if approval is None and is_old and not item.approves:
            return None
        if approval is None:
            raise not_found(item.approval, field)
        return ApprovalAnswer(item=item, approval=approval, field=field)

    def check(self, answer: ApprovalAnswer, config: ToolConfig) -> None:
        """Raise Invalid where the request has expired, was decided otherwise, or its call could not be run.

        A call that was approved before is not looked at again: its thread has to go on, whatever became of the tool.
        """
        approval = answer.approval
        if approval.has_expired(self.clock.now()):
            message = f"Invalid '{answer.field}': the request has expired, which counts as denied."
            raise Invalid(message, field=answer.field, code="approval_expired")
        check_decision(answer, approval)
        if answer.item.approves and not approval.decision and not approval.binds(config):
            message = (
                f"Invalid 'tools': the tool {approval.tool!r} of the server {approval.server!r} is not offered, or has "
                "changed since its call was asked for. Offer it as before, or deny the request."
            )
            raise Invalid(message, field="tools", code="tool_not_found")

    def check_decider(self, answer: ApprovalAnswer, owner: Owner) -> None:
        """Raise ApproverRequired where the owner approves a call that somebody else has to approve.

        Nothing of such a server can be approved in a new turn: its requests are for turns that wait in place.
        """
        is_new = answer.item.approves and answer.approval.decision is None
        if is_new and not decider_of(answer.approval, self.servers, owner, owner).may_decide:
            raise ApproverRequired(FOUR_EYES)

    async def check_ended(self, answer: ApprovalAnswer, owner: Owner) -> None:
        """Raise Invalid for a request whose turn waits in place: that turn carries the decision out, and no other."""
        with suppress(NotFound):
            turn = await self.turns.read(owner, answer.approval.response)
            if not turn.status.is_terminal:
                raise still_waits(turn.id, answer.field)

    async def check_all_answered(self, owner: Owner, requests: set[str], field: str) -> None:
        """Raise Invalid for requests without an answer. An expired one, or one of a deleted turn, needs none."""
        found = [await self.approvals.find(owner, each) for each in sorted(requests)]
        now = self.clock.now()
        missing = [each.request for each in found if each and not each.has_expired(now)]
        if missing:
            raise Invalid(UNANSWERED.format(", ".join(missing)), field=field, code="invalid_value")

    async def decide(self, owner: Owner, answers: Sequence[ApprovalAnswer]) -> tuple[str, ...]:
        """Record the decisions; return the ids of the approved requests. Raises Invalid as `checked` does."""
        for each in answers:
            decision = Decision(
                approves=each.item.approves, reason=each.item.text, by=owner.subject, at=self.clock.now()
            )
            try:
                stored = await self.approvals.decide(owner, each.approval, decision)
            except NotFound:
                raise not_found(each.approval.request, each.field) from None
            check_decision(each, stored)
            if stored.decision is decision:
                count_decision(stored.server, stored.tool, decision)
        return tuple(dict.fromkeys(each.approval.request for each in answers if each.item.approves))


def answers_in(items: Sequence[Item], field: str, *, run: set[str]) -> Iterator[tuple[int, str]]:
    """Yield the indices and places of the answers among the new items of a turn.

    A caller may send a whole thread back: an approval whose call the model reads was carried out.
    """
    for index, item in enumerate(items):
        if item.kind is ItemKind.APPROVAL_RESPONSE and not (item.approves and item.approval in run):
            yield index, f"{field}[{index}].approval_request_id"


def answered(items: Sequence[Item]) -> set[str]:
    """Return the ids of the requests that have an answer, or a call that was run."""
    return run_in(items) | {item.approval for item in items if item.kind is ItemKind.APPROVAL_RESPONSE}


def run_in(items: Sequence[Item]) -> set[str]:
    """Return the ids of the requests whose calls were run."""
    return {item.approval for item in items if item.kind is ItemKind.MCP_CALL}


def last_output(items: Sequence[Item]) -> int:
    """Return the index of the last item that a model has written; -1 where there is none."""
    return max((at for at, item in enumerate(items) if item.role is Role.ASSISTANT), default=-1)


def check_decision(answer: ApprovalAnswer, stored: Approval) -> None:
    if stored.decision and stored.decision.approves is not answer.item.approves:
        word = "approved" if stored.decision.approves else "denied"
        message = f"Invalid '{answer.field}': the request was {word} before; a decision is final."
        raise Invalid(message, field=answer.field, code="approval_already_decided")


def check_agreement(answers: Sequence[ApprovalAnswer]) -> None:
    """Raise Invalid where one request has two different answers: neither of them is recorded."""
    first: dict[str, ApprovalAnswer] = {}
    for each in answers:
        before = first.setdefault(each.approval.request, each)
        if before.item.approves is not each.item.approves:
            message = (
                f"Invalid '{each.field}': '{before.field}' gives another answer to the same request. Send one answer."
            )
            raise Invalid(message, field=each.field, code="invalid_value")


def check_count(answers: Sequence[ApprovalAnswer], *, most: int, field: str) -> None:
    """Raise Invalid where more calls are approved than a turn may make. What was approved before has to go on."""
    approved = {each.approval.request for each in answers if each.item.approves and not each.approval.decision}
    if len(approved) > most:
        message = f"Invalid '{field}': {len(approved)} calls are approved, but the turn may make at most {most}."
        raise Invalid(message, field=field, code="invalid_value")


def still_waits(response_id: str, field: str) -> Invalid:
    message = (
        f"Invalid '{field}': the response {response_id} waits for this decision itself. Send it to "
        f"POST /v1/responses/{response_id}/approvals."
    )
    return Invalid(message, field=field, code="approval_not_found")


def not_found(request_id: str, field: str) -> Invalid:
    message = (
        f"Invalid '{field}': the conversation has no approval request {request_id[:80]!r}. Continue the response "
        "that asks, or send its request with the answer."
    )
    return Invalid(message, field=field, code="approval_not_found")
