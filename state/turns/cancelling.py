"""How is a turn cancelled that is to be deleted, also where a record of it is damaged?"""

from copy import replace

from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import read_or_none, report
from clients.storage.keys import response_key, slot_prefix
from clients.storage.paging import list_all
from domain.errors import DamagedRecord
from domain.identity.owners import Owner
from domain.log.events import Ending, ResponseStatus
from domain.log.transcript import Transcript
from domain.turns.conversations import Conversation
from domain.turns.response import Response
from state.turns.conversation_lock import conversation_of
from state.turns.responses import TurnStore


async def cancelled(turns: TurnStore, owner: Owner, response_id: str) -> Response:
    """Return a turn that has ended, by a cancel where it ran; what it said is lost where its log is damaged.

    Raises NotFound, and DamagedRecord where the response itself is damaged.
    """
    try:
        return await turns.finish(owner, response_id, status=ResponseStatus.CANCELLED)
    except DamagedRecord as damage:
        report(damage)
    return await compare_and_swap(turns.clock, lambda: cancelled_as_it_is(turns, owner, response_id))


async def cancelled_as_it_is(turns: TurnStore, owner: Owner, response_id: str) -> Response:
    """Cancel a turn by what its own document says; raises Conflict."""
    found = await turns.document(owner, response_id)
    response = found.read_with_id(Response.from_document)
    if response.status.is_terminal:
        return response
    log = await readable_log(turns, owner, response_id)
    ending = Ending(status=ResponseStatus.CANCELLED, at=turns.clock.now(), usage=log.usage)
    in_place = await without_damaged_conversation(turns, response)
    return await turns.commit_ending(found, in_place, log, ending)


async def readable_log(turns: TurnStore, owner: Owner, response_id: str) -> Transcript:
    """Return the log of a turn; an empty one that goes on after the last slot where a slot is damaged."""
    try:
        return await turns.transcript(owner, response_id)
    except DamagedRecord:
        slots = await list_all(turns.store, response_key(owner, response_id), prefix=slot_prefix(response_id))
    return Transcript(next_slot=int(slots[-1].id.removeprefix(slot_prefix(response_id))) + 1 if slots else 0)


async def without_damaged_conversation(turns: TurnStore, response: Response) -> Response:
    """Return a turn that has no conversation where this is damaged: nothing can unlock it any more."""
    found = await conversation_of(turns.store, response)
    if found is None or read_or_none(found, lambda each: each.read_with_id(Conversation.from_document)):
        return response
    return replace(response, history=replace(response.history, conversation=None))
