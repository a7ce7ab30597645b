"""Does each word of an answer reach the log once, whatever had been shown before?"""

from collections.abc import Sequence

import pytest

from activities.inference.answer_writer import AnswerWriter
from activities.inference.log_writer import LogWriter, Superseded
from clients.backends.port import AnswerEnd, TextPiece
from domain.content.items import ItemStatus
from domain.log.events import ResponseStatus, TokenUsage
from domain.turns.response import Response
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, World


@pytest.fixture
def world() -> World:
    clock = FakeClock()
    return World(store=MemoryStore(clock), clock=clock, backends={})


def words(*texts: str) -> Sequence[TextPiece]:
    return [TextPiece(text=text) for text in texts]


async def showing(world: World, response: Response, *, continues: bool) -> AnswerWriter:
    """Begin a run on the log as it stands."""
    log = await world.log(response)
    writer = LogWriter(world.turns, world.clock, owner=OWNER, response_id=response.id, log=log)
    await writer.take_over()
    return AnswerWriter(writer, continues=continues)


async def broken_off(world: World) -> Response:
    """Return a response of which two words were shown."""
    response = await world.admit("count")
    await (await showing(world, response, continues=True)).show(words("one", " two"))
    return response


async def shown(world: World, response: Response) -> list[tuple[str, ItemStatus]]:
    return [(item.text, item.status) for item in (await world.log(response)).items]


async def test_words_that_come_together_are_one_slot(world: World) -> None:
    response = await world.admit("count")
    show = await showing(world, response, continues=True)
    assert show.partial == ""
    await show.show([*words("one", " two"), AnswerEnd(reason="stop", usage=None)])
    (slot,) = (await world.turns.slots(OWNER, response.id))[2:]
    assert (slot.pieces, slot.events[-1].text) == (2, "one two")


@pytest.mark.parametrize("continues", [True, False])
async def test_an_answer_goes_on_in_the_item_that_is_open(world: World, *, continues: bool) -> None:
    response = await broken_off(world)
    show = await showing(world, response, continues=continues)
    assert show.partial == ("one two" if continues else "")
    await show.show(words(" three") if continues else words("one", " two", " three"))
    assert await shown(world, response) == [("one two three", ItemStatus.IN_PROGRESS)]


async def test_what_repeats_writes_nothing_and_looks_for_a_successor(world: World) -> None:
    response = await broken_off(world)
    show = await showing(world, response, continues=False)
    before = await world.turns.slots(OWNER, response.id)
    await show.show(words("one"))
    assert await world.turns.slots(OWNER, response.id) == before
    await world.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)
    with pytest.raises(Superseded):
        await show.show(words(" two"))


async def test_an_answer_that_differs_stands_in_an_item_of_its_own(world: World) -> None:
    response = await broken_off(world)
    show = await showing(world, response, continues=False)
    await show.show(words("one", " 2"))
    assert await shown(world, response) == [("one two", ItemStatus.INCOMPLETE), ("one 2", ItemStatus.IN_PROGRESS)]
    ids = [item.id for item in (await world.log(response)).items]
    assert len({*ids}) == 2
    assert all(one.startswith(f"msg_{response.thread}") for one in ids)


@pytest.mark.parametrize(
    ("continues", "counted", "output_tokens"),
    [
        (True, TokenUsage(input_tokens=9, output_tokens=5), 7),
        (False, TokenUsage(input_tokens=9, output_tokens=5), 5),
        (True, None, 3),
        (False, None, 1),
    ],
)
async def test_usage_holds_what_earlier_attempts_had_shown_where_the_answer_goes_on(
    world: World, *, continues: bool, counted: TokenUsage | None, output_tokens: int
) -> None:
    response = await broken_off(world)
    show = await showing(world, response, continues=continues)
    await show.show(words("one"))
    assert show.usage(counted).output_tokens == output_tokens


async def test_what_was_given_up_is_not_counted_as_said(world: World) -> None:
    response = await broken_off(world)
    other = await showing(world, response, continues=False)
    await other.show(words("one"))
    await other.show(words(" 2", " 3"))
    assert (await world.log(response)).pieces == 3
    going_on = await showing(world, response, continues=True)
    assert going_on.partial == "one 2 3"
    await going_on.show(words(" 4"))
    assert going_on.usage(None).output_tokens == 4
    assert (await world.log(response)).pieces == 4
