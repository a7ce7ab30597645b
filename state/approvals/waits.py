"""How does a turn wait in place for approvals, so that each decision is carried out once?

One commit writes the answers to the log, what the records become, and whether the turn waits. A decision that is made
at the same time changes its record, so that one of the two begins again.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import readable
from clients.storage.keys import response_key, slot_id
from clients.storage.paging import read_many
from clients.storage.port import SWEEP_LIMIT, Container, Create, Document, DocumentKey, Operation, Replace
from domain.content.items import Item
from domain.content.tools import FunctionCall
from domain.errors import GanglionError
from domain.identity.owners import Owner
from domain.ids import member_id, own_token
from domain.log.answer_events import approval_answer_events, server_call_events
from domain.log.events import LogEvent, Slot
from domain.log.transcript import Transcript, read_log
from domain.tools.approval_waits import WaitPlan, approved_calls, plan_wait, unanswered_requests
from domain.tools.approvals import Approval, Decision, approval_id, new_approval
from domain.tools.catalog import ToolServers
from domain.tools.planned_calls import MOST_ASKED
from domain.turns.response import Response
from domain.turns.response_progress import WAITING
from state.approvals.index import ApprovalIndex
from state.turns.responses import TurnStore, next_slot, response_of
from state.webhook_outbox import request_deliveries

logger = logging.getLogger("ganglion.approvals")


class WaitState(Struct, frozen=True, kw_only=True):
    """A turn after a look at its requests: the turn and its log as they are stored, and what was planned."""

    response: Response
    log: Transcript
    plan: WaitPlan
    until: float = 0.0

    @property
    def calls(self) -> tuple[Item, ...]:
        return approved_calls(self.log)


class ApprovalWaits:
    """Asks for approvals and carries decisions out. Every method is safe to repeat."""

    def __init__(self, turns: TurnStore, index: ApprovalIndex, servers: ToolServers, clock: Clock) -> None:
        self.turns = turns
        self.index = index
        self.servers = servers
        self.clock = clock

    async def advance(self, owner: Owner, response_id: str) -> WaitState:
        """Record new requests, carry out what was decided, and begin, prolong or end the wait. Raises NoResponse."""
        state, slot = await compare_and_swap(self.clock, lambda: self.step(owner, response_id))
        if slot:
            self.turns.notifications.notify(response_id, slot)
        await self.index.remove(owner, state.plan.changed)
        return state

    async def announce(self, response: Response) -> None:
        """Record the new requests of a turn that waits in place, before the other calls of their round run.

        Deciders find them from now on. Nothing is recorded where the store fails: `advance` does it after these calls.
        """
        if not response.options.approval_wait_s:
            return
        try:
            await compare_and_swap(self.clock, lambda: self.record_new(response.owner, response.id))
        except GanglionError as error:
            logger.warning(
                "%s: its approval requests are not announced yet; the sweeper announces them: %s",
                response.id,
                type(error).__name__,
            )

    async def record_new(self, owner: Owner, response_id: str) -> None:
        """Record and announce, in one commit that fails where the turn has changed since it was read."""
        found = await self.turns.document(owner, response_id)
        response, log = found.read_with_id(Response.from_document), await self.turns.transcript(owner, response_id)
        if response.status.is_terminal or log.ending:
            return
        key, now, requests = response_key(owner, response_id), self.clock.now(), unanswered_requests(log)
        known = await self.records(key, requests)
        made = (self.new_record(response, each, now) for each in requests if each.id not in known)
        new = [each for each in made if each][:MOST_ASKED]
        if new:
            await self.index.add(owner, new)
            unchanged = Replace(id=response_id, body=found.body, etag=found.etag)
            created = record_operations(WaitPlan(new=tuple(new)), {})
            await self.commit(
                key, (unchanged, *created, *request_deliveries(self.turns.endpoints, response, new, at=now))
            )

    async def unasked(self, response: Response, request_id: str) -> Approval | None:
        """Return a request that readers of the log see already, while other calls of its round still run.

        It is recorded a moment after, or with an early decision. None for any other request.
        """
        if not response.options.approval_wait_s or response.status.is_terminal:
            return None
        requests = unanswered_requests(await self.turns.transcript(response.owner, response.id))
        found = next((each for each in requests if each.id == request_id), None)
        return self.new_record(response, found, self.clock.now()) if found else None

    async def decide_early(self, owner: Owner, approval: Approval, decision: Decision) -> Approval:
        """Record an unasked request with its decision; return it, undecided where its turn has ended meanwhile."""

        async def step() -> Approval:
            found = await self.turns.document(owner, approval.response)
            stored = await self.turns.approvals.find(owner, approval.request)
            if stored or found.read_with_id(Response.from_document).status.is_terminal:
                return stored or approval
            decided = approval.decided(decision)
            unchanged = Replace(id=approval.response, body=found.body, etag=found.etag)
            create = Create(id=decided.id, body=decided.to_document())
            await self.commit(response_key(owner, approval.response), (create, unchanged))
            return decided

        stored = await compare_and_swap(self.clock, step)
        if stored.decision or stored is approval:
            return stored
        return await self.turns.approvals.decide(owner, stored, decision, in_place=True)

    async def overdue(self, *, before: float) -> Sequence[Response]:
        """Return the turns of all owners whose wait should have ended before a time, for the sweep."""
        store, kind = self.turns.store, "response"
        found = await store.find(Container.TURNS, kind=kind, status=WAITING, before=before, limit=SWEEP_LIMIT)
        return tuple(readable(found, response_of))

    async def step(self, owner: Owner, response_id: str) -> tuple[WaitState, Slot | None]:
        found = await self.turns.document(owner, response_id)
        response = found.read_with_id(Response.from_document)
        log = await self.turns.transcript(owner, response_id)
        if response.status.is_terminal or log.ending:
            return WaitState(response=response, log=log, plan=WaitPlan()), None
        key, now = response_key(owner, response_id), self.clock.now()
        requests = unanswered_requests(log)
        documents = await self.records(key, requests)
        ends_at = self.ends_at(response, now)
        known = {name: each.read_as(Approval.from_document) for name, each in documents.items()}
        plan = plan_wait(requests, known, lambda item: self.new_record(response, item, now), now=now, ends_at=ends_at)
        await self.index.add(owner, [each for each in plan.new if each.waits])
        slot = self.slot(response, log, plan, now)
        after_log = read_log((slot,), log) if slot else log
        until = plan.until(ends_at)
        waits = bool(plan.open) and not approved_calls(after_log)
        after = response.waiting(at=now, until=until) if waits else response.resumed(at=now)
        is_held = after != response or bool(plan.new)  # no record is created for a turn that was deleted meanwhile
        operations = [
            *([Create(id=slot_id(response_id, slot.number), body=slot.to_document())] if slot else []),
            *([Replace(id=response_id, body=after.to_document(), etag=found.etag)] if is_held else []),
            *record_operations(plan, documents),
            *request_deliveries(self.turns.endpoints, after, plan.new, at=now),
        ]
        await self.commit(key, operations)
        return WaitState(response=after, log=after_log, plan=plan, until=until), slot

    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> None:
        if operations:
            await self.turns.store.commit(key, operations)

    def ends_at(self, response: Response, now: float) -> float:
        """Return when the turn has waited for as long as it may, all of its waits together."""
        progress = response.progress
        since = progress.wait.since if progress.wait else now
        return since + max(0.0, response.options.approval_wait_s - progress.waited_s)

    async def records(self, key: DocumentKey, requests: Sequence[Item]) -> Mapping[str, Document]:
        found = await read_many(self.turns.store, key, [approval_id(each.id) for each in requests])
        return {request.id: each for request, each in zip(requests, found, strict=True) if each}

    def new_record(self, response: Response, request: Item, now: float) -> Approval | None:
        config, server = response.options.tool_config, self.servers.known.get(request.server)
        function = config.function_of(request.server, request.name)
        if function is None or server is None:
            return None
        made = new_approval(request, function, response_id=response.id, at=now, lasts_s=config.approval_s)
        return made.asked_in_place(request.text, roles=server.approvers, four_eyes=server.four_eyes)

    def slot(self, response: Response, log: Transcript, plan: WaitPlan, now: float) -> Slot | None:
        """Return the slot with the answers, and with the calls that were approved."""
        events: list[LogEvent] = []
        index = len(log.items)
        for request, decision in plan.answered:
            events += answer_events(index, response, request, decision)
            index += 1
            if decision.approves:
                events += self.call_events(index, response, request)
                index += 1
        return next_slot(log, f"approvals:{self.clock.token()}", at=now, events=tuple(events)) if events else None

    def call_events(self, index: int, response: Response, request: Item) -> tuple[LogEvent, ...]:
        return server_call_events(
            index,
            FunctionCall(name=request.name, arguments=request.text, server=request.server),
            item_id=member_id("mcp", thread=response.thread, token=self.clock.token()),
            call_id=f"call_{self.clock.token()}",
            number=request.round,
            approval=request.id,
        )


def answer_events(index: int, response: Response, request: Item, decision: Decision) -> tuple[LogEvent, ...]:
    answer_id = member_id("mcpa", thread=response.thread, token=own_token(request.id))
    return approval_answer_events(index, request, approves=decision.approves, reason=decision.reason, item_id=answer_id)


def record_operations(plan: WaitPlan, documents: Mapping[str, Document]) -> Iterator[Operation]:
    for each in plan.new:
        yield Create(id=each.id, body=each.to_document())
    for each in plan.changed:
        yield Replace(id=each.id, body=each.to_document(), etag=documents[each.request].etag)
