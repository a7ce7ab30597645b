"""What is left of a turn that is cancelled although a record of it is damaged?"""

from copy import replace

from clients.storage.keys import conversation_key
from domain.content.items import ItemStatus
from domain.log.events import EventKind, LogEvent, ResponseStatus, Slot
from domain.log.item_events import ItemHeader
from state.turns.cancelling import cancelled
from tests.fakes.worlds import OWNER
from tests.state.turns.places import Place


async def test_a_turn_whose_conversation_alone_is_damaged_keeps_what_it_said() -> None:
    place = Place()
    conversation = await place.conversation("before")
    running = await place.admitted(conversation, "heron")
    assert await place.turns.begin(OWNER, running.id, execution="run")
    began = await place.turns.transcript(OWNER, running.id)
    said = (LogEvent(kind=EventKind.ITEM_ADDED, header=ItemHeader(id="msg_1")), LogEvent(kind=EventKind.TEXT, text="a"))
    slot = Slot(number=began.next_slot, writer="run", first=began.next_sequence, at=place.clock.now(), events=said)
    assert await place.turns.append(OWNER, running.id, slot)
    key = conversation_key(OWNER, conversation.id)
    row = place.store.rows(key)[conversation.id]
    place.store.put(key, conversation.id, replace(row, data=b"no JSON"))
    ended = await cancelled(place.turns, OWNER, running.id)
    log = await place.turns.transcript(OWNER, running.id)
    assert (ended.status, log.status) == (ResponseStatus.CANCELLED, ResponseStatus.CANCELLED)
    assert [(item.text, item.status) for item in log.items] == [("a", ItemStatus.INCOMPLETE)]
    assert len(ended.progress.output_items) == 1
