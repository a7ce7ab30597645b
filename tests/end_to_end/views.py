"""Do all views of one response agree byte for byte: live, resumed, polled, final, and the log itself?"""

from itertools import pairwise

from domain.content.items import ItemStatus
from tests.end_to_end.books import ALICE, Books
from tests.end_to_end.callers import TERMINAL, Caller, Reading

DELTA = "response.output_text.delta"
TEXT_DONE = "response.output_text.done"


def assert_one_stream(reading: Reading) -> None:
    """Numbers without a gap, one terminal event, and that the last."""
    assert reading.clean == 0, "a stream ended cleanly before its turn did"
    assert reading.numbers == list(range(len(reading.events)))
    assert [kind in TERMINAL for kind in reading.types] == [False] * (len(reading.events) - 1) + [True]


async def assert_views_agree(caller: Caller, reading: Reading, *points: int) -> None:
    """What was read through all breaks, a replay, a resume behind each point, and a poll are the same bytes."""
    assert (await caller.replay(reading.id)).raw == reading.raw
    for point in points:
        resumed = await caller.replay(reading.id, after=point)
        assert resumed.done
        assert resumed.raw == reading.raw[point + 1 :]
    polled = await caller.get(reading.id)
    assert polled.text in reading.raw[-1]


async def assert_equals_log(books: Books, reading: Reading) -> list[str]:
    """Each item's deltas, its whole text and the log say the same; of several items only the last is whole.

    Returns the texts of the items.
    """
    slots = await books.turns.slots(ALICE, reading.id)
    assert slots
    assert [slot.number for slot in slots] == list(range(len(slots)))
    assert all(after.first == before.next_sequence for before, after in pairwise(slots))  # may be empty: one slot
    log = await books.turns.transcript(ALICE, reading.id)
    texts = [item.text for item in log.items]
    assert [said(reading, index) for index in range(len(texts))] == texts
    assert [event["text"] for event in reading.events if event["type"] == TEXT_DONE] == texts
    given_up = [ItemStatus.INCOMPLETE] * (len(texts) - 1)
    assert [item.status for item in log.items] == [*given_up, ItemStatus.COMPLETED]
    [kept] = reading.response["output"]
    assert [part["text"] for part in kept["content"]] == texts[-1:]
    return texts


def said(reading: Reading, index: int) -> str:
    deltas = (event for event in reading.events if event["type"] == DELTA)
    return "".join(event["delta"] for event in deltas if event["output_index"] == index)
