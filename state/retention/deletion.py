"""How are responses, conversations and owners deleted?

A deletion first stores an expiry document that names what is to be cleared, then clears it. If the process dies in
between, the timer finds the expiry document and completes the deletion.
"""

import logging

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import read_or_none
from clients.storage.item_parts import delete_operations
from clients.storage.keys import (
    conversation_key,
    expiry_id,
    response_key,
    retrieved_prefix,
    route_prefix,
    slot_prefix,
)
from clients.storage.paging import create_missing, write_batches
from clients.storage.port import SWEEP_LIMIT, Container, Delete, Document, DocumentStore
from domain.errors import Conflict, DamagedRecord, GanglionError, NotFound
from domain.identity.owners import Owner
from domain.ids import is_response_id, thread_of
from domain.tools.call_record import call_prefix
from domain.turns.conversations import Conversation
from domain.turns.response import Response
from state.files.file_store import FileStore
from state.files.parts import thread_of_upload
from state.files.places import FilePlaces
from state.retention.clearing import Clearing
from state.retention.erasure import EVERYTHING, ROUND_S, Erasure
from state.turns.approvals import cleared_approvals
from state.turns.cancelling import cancelled
from state.turns.conversation_lock import belongs_to_conversation
from state.turns.expiry import DUE, EXPIRY, expiry_operation
from state.turns.responses import TurnStore

log = logging.getLogger(__name__)


class Retention:
    """Deletes responses, conversations and owners, and clears what has expired. Every step is safe to repeat."""

    def __init__(self, store: DocumentStore, turns: TurnStore, clock: Clock, places: FilePlaces | None = None) -> None:
        self.store = store
        self.turns = turns
        self.files = FileStore(store, clock, places)
        self.clock = clock
        self.clearing = Clearing(store, turns, clock, self.files.places)
        self.erasure = Erasure(store, self.clearing, clock)

    async def delete_response(self, owner: Owner, response_id: str) -> Response:
        """Cancel a response and delete it with its log and the items that belong to no conversation.

        Returns the ended response; raises NotFound, and DamagedRecord where only the response itself knew its items.
        """
        try:
            ended = await cancelled(self.turns, owner, response_id)
        except DamagedRecord as damage:
            message = f"{damage} Delete its conversation, or erase its owner, to delete it."
            raise DamagedRecord(message, identifier=damage.identifier) from damage
        await create_missing(
            self.store, response_key(owner, response_id), (expiry_operation(owner, response_id, at=self.clock.now()),)
        )
        await self.clear_response(ended)
        return ended

    async def clear_response(self, ended: Response) -> None:
        key = response_key(ended.owner, ended.id)
        kept = set(ended.input_items + ended.progress.output_items) if belongs_to_conversation(ended) else set[str]()
        items = [name for name in (*ended.input_items, *ended.progress.output_items) if name not in kept]
        await write_batches(self.store, key, await delete_operations(self.store, key, items))
        await write_batches(self.store, key, [*cleared_approvals(ended.progress.output_items)])
        for prefix in (
            retrieved_prefix(ended.id),
            route_prefix(ended.id),
            call_prefix(ended.id),
            slot_prefix(ended.id),
        ):
            await self.clearing.clear_prefix(key, prefix)
        await write_batches(self.store, key, [Delete(id=ended.id), Delete(id=expiry_id(ended.id))])

    async def delete_conversation(self, owner: Owner, identifier: str) -> tuple[Response, ...]:
        """Delete a conversation with its items and responses; return the responses that were cancelled.

        Raises NotFound.
        """
        ended: list[Response] = []

        async def step() -> None:
            found = await self.turns.conversations.document(owner, identifier)
            conversation = read_or_none(found, lambda each: each.read_with_id(Conversation.from_document))
            if conversation is None:
                ended.extend(await self.clearing.cancel_running(owner, thread_of(identifier) or ""))
            elif turn := await self.cancel_first(owner, conversation):
                ended.append(turn)
                raise Conflict("the conversation has changed: its response was cancelled", identifier=identifier)
            await self.mark_for_clearing(owner, found)

        await compare_and_swap(self.clock, step)
        await self.clearing.clear_thread(conversation_key(owner, identifier))
        return tuple(ended)

    async def cancel_first(self, owner: Owner, conversation: Conversation) -> Response | None:
        """Cancel the turn of a conversation that runs, or else the first that waits; None where none can be."""
        for each in filter(None, (conversation.running, *conversation.waiting)):
            if turn := await self.clearing.cancel(owner, each):
                return turn
        return None

    async def mark_for_clearing(self, owner: Owner, conversation: Document) -> None:
        """Delete the conversation's own document and store what is to be cleared; raises Conflict."""
        delete = Delete(id=conversation.id, etag=conversation.etag)
        expiry = expiry_operation(owner, conversation.id, at=self.clock.now())
        await self.store.commit(conversation_key(owner, conversation.id), (delete, expiry))

    async def clear_due(self) -> int:
        """Clear what has expired, of all owners, for the timer; return how many expiry documents it processed."""
        now = self.clock.now()
        due = await self.store.find(Container.TURNS, kind=EXPIRY, status=DUE, before=now, limit=SWEEP_LIMIT)
        for found in due:
            body = found.document.body
            try:
                await self.clear_marked(Owner(tenant=body["tenant"], subject=body["subject"]), body["of"])
            except GanglionError as error:
                log.warning(
                    "the expired %s could not be deleted; the sweeper tries again: %s", found.document.id, error
                )
        return len(due)

    async def clear_marked(self, owner: Owner, identifier: str) -> None:
        if identifier == EVERYTHING:
            await self.erasure.resume(owner, within_s=ROUND_S)
            return
        if thread := thread_of_upload(identifier):
            await self.files.settle(owner, thread)
            return
        if not is_response_id(identifier):
            await self.clearing.clear_thread(conversation_key(owner, identifier))
            return
        try:
            ended = await self.turns.read(owner, identifier)
        except NotFound:
            await write_batches(self.store, response_key(owner, identifier), [Delete(id=expiry_id(identifier))])
        else:
            await self.clear_response(ended)
