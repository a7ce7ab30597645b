"""Is the log well formed, and does it keep the last answer, whatever a model streams and however often it breaks?"""

import asyncio
from typing import Any, cast

from hypothesis import example, given
from hypothesis import strategies as st

from activities.inference.answer_writer import AnswerWriter
from activities.inference.log_writer import LogWriter
from clients.backends.port import AnswerEnd, Channel, TextPiece
from domain.content.items import ItemKind, ItemStatus
from domain.content.schema_tool_calls import ParsedAnswer
from domain.content.tools import FunctionCall, ToolConfig
from domain.ids import member_id
from domain.log.events import AttemptOutcome, EventKind, LogEvent, Slot
from domain.log.transcript import Transcript, after_slot, kept_items, read_log
from tests.fakes.clocks import FakeClock
from tests.fakes.worlds import OWNER

CALL = FunctionCall(name="look", arguments="{}")
OUTCOME = AttemptOutcome(attempt=1, result="done")
channels = st.sampled_from([Channel.ANSWER, Channel.ANSWER, Channel.REASONING, Channel.REFUSAL])
pieces = st.builds(TextPiece, text=st.text("ab", min_size=1, max_size=2), channel=channels)
scripts = st.lists(pieces, max_size=6)


class MemoryWriter(LogWriter):
    """Appends to a log in memory, which no other writer has."""

    def __init__(self, log: Transcript, slots: list[Slot], clock: FakeClock) -> None:
        response = member_id("resp", thread="a" * 24, token="b" * 24)
        super().__init__(cast("Any", None), clock, owner=OWNER, response_id=response, log=log, attempt=1)
        self.slots = slots

    async def append(self, slot: Slot) -> bool:
        await asyncio.sleep(0)
        self.log = after_slot(self.log, slot)
        self.slots.append(slot)
        return True

    async def check_not_superseded(self) -> None:
        await asyncio.sleep(0)


async def written(runs: list[list[TextPiece]], calls: tuple[FunctionCall, ...], *, is_complete: bool) -> list[Slot]:
    """Return the slots of these runs, of which only the last one ends its answer; each repeats it from the start."""
    slots, clock = list[Slot](), FakeClock()
    answer = AnswerWriter(
        MemoryWriter(Transcript(), slots, clock), tools=ToolConfig(), continues=False, schema_tools=None
    )
    for run in runs:
        writer = MemoryWriter(read_log(slots), slots, clock)
        answer = AnswerWriter(writer, tools=ToolConfig(), continues=False, schema_tools=None)
        for piece in run:
            await answer.write([piece])
    parsed = answer.parsed_answer(AnswerEnd(reason="stop", usage=None, calls=calls))
    await answer.finish(OUTCOME, parsed or ParsedAnswer(), is_complete=is_complete)
    return slots


def check_order(events: list[LogEvent]) -> None:
    """Check that each item opens and closes once, one after the other, and so do its parts."""
    item, part = -1, ""
    for event in events:
        name = "refusal" if event.is_refusal else "text"
        match event.kind:
            case EventKind.ITEM_ADDED:
                assert part == ""
                item += 1
            case EventKind.PART_ADDED:
                assert part == ""
                part = name
            case EventKind.TEXT | EventKind.TEXT_DONE:
                assert part == name
                part = "" if event.kind is EventKind.TEXT_DONE else part
            case EventKind.PART_DONE | EventKind.ITEM_DONE:
                assert part == ""
            case _:
                pass
        assert event.output == item


def expected(run: list[TextPiece]) -> tuple[str, str]:
    """Return the text and the refusal of an answer; what follows a refusal belongs to it."""
    spoken = [piece for piece in run if piece.channel is not Channel.REASONING]
    first = next((at for at, piece in enumerate(spoken) if piece.channel is Channel.REFUSAL), len(spoken))
    return "".join(piece.text for piece in spoken[:first]), "".join(piece.text for piece in spoken[first:])


TEXT, REFUSAL = (TextPiece(text="a", channel=channel) for channel in (Channel.ANSWER, Channel.REFUSAL))


@example(runs=[[TEXT, REFUSAL], [REFUSAL]], calls=(), is_complete=False)
@example(runs=[[TEXT, REFUSAL], [TEXT]], calls=(), is_complete=True)
@example(runs=[[TEXT, REFUSAL], [TEXT, TEXT, REFUSAL]], calls=(CALL,), is_complete=True)
@example(runs=[[TEXT, TEXT], [TEXT, REFUSAL]], calls=(), is_complete=False)
@example(runs=[[REFUSAL], [TEXT, REFUSAL]], calls=(), is_complete=True)
@given(runs=st.lists(scripts, min_size=1, max_size=4), calls=st.sampled_from([(), (CALL,)]), is_complete=st.booleans())
def test_the_log_is_well_formed_and_keeps_the_last_answer(
    runs: list[list[TextPiece]],
    calls: tuple[FunctionCall, ...],
    is_complete: bool,  # noqa: FBT001 - drawn
) -> None:
    slots = asyncio.run(written(runs, calls, is_complete=is_complete))
    log = read_log(slots)
    check_order([event for slot in slots for event in slot.events])
    assert log.open_item is None
    kept = kept_items(log)
    messages = [item for item in kept if item.kind is ItemKind.MESSAGE]
    assert len(messages) <= 1
    assert sum(item.kind is ItemKind.FUNCTION_CALL for item in kept) == len(calls)
    if any(expected(runs[-1])):
        assert [(item.text, item.refusal) for item in messages] == [expected(runs[-1])]
        assert messages[0].status is (ItemStatus.COMPLETED if is_complete else ItemStatus.INCOMPLETE)


@given(scripts)
def test_one_run_keeps_all_of_its_reasoning_and_counts_each_piece(run: list[TextPiece]) -> None:
    slots = asyncio.run(written([run], (), is_complete=True))
    kept = kept_items(read_log(slots))
    reasoning = "".join(item.text for item in kept if item.kind is ItemKind.REASONING)
    assert reasoning == "".join(piece.text for piece in run if piece.channel is Channel.REASONING)
    late = [piece for at, piece in enumerate(run) if piece.channel is Channel.REASONING and any(expected(run[:at]))]
    assert sum(slot.pieces for slot in slots) >= len(run) - len(late)
