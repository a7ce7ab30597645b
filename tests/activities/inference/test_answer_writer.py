"""Does each word of an answer reach the log once, whatever the log had before?"""

from collections.abc import Sequence

import pytest

from activities.inference.answer_writer import AnswerWriter
from activities.inference.log_writer import LogWriter, Superseded
from clients.backends.port import AnswerEnd, TextPiece
from domain.content.items import ItemStatus
from domain.content.tools import ToolConfig
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


async def started_run(world: World, response: Response, *, continues: bool) -> AnswerWriter:
    """Start a run on the current log."""
    log = await world.log(response)
    writer = LogWriter(world.turns, world.clock, owner=OWNER, response_id=response.id, log=log, attempt=1)
    await writer.take_over()
    return AnswerWriter(writer, tools=ToolConfig(), continues=continues, schema_tools=None)


async def interrupted(world: World) -> Response:
    """Return a response whose log has two words."""
    response = await world.admit("count")
    await (await started_run(world, response, continues=True)).write(words("one", " two"))
    return response


async def items_of(world: World, response: Response) -> list[tuple[str, ItemStatus]]:
    return [(item.text, item.status) for item in (await world.log(response)).items]


async def test_pieces_that_arrive_together_are_one_slot(world: World) -> None:
    response = await world.admit("count")
    answer = await started_run(world, response, continues=True)
    assert answer.partial == ""
    await answer.write([*words("one", " two"), AnswerEnd(reason="stop", usage=None)])
    (slot,) = (await world.turns.slots(OWNER, response.id))[2:]
    assert (slot.pieces, slot.events[-1].text) == (2, "one two")


@pytest.mark.parametrize("continues", [True, False])
async def test_an_answer_continues_in_the_open_item(world: World, *, continues: bool) -> None:
    response = await interrupted(world)
    answer = await started_run(world, response, continues=continues)
    assert answer.partial == ("one two" if continues else "")
    await answer.write(words(" three") if continues else words("one", " two", " three"))
    assert await items_of(world, response) == [("one two three", ItemStatus.IN_PROGRESS)]


async def test_repeated_text_writes_nothing_and_checks_for_a_successor(world: World) -> None:
    response = await interrupted(world)
    answer = await started_run(world, response, continues=False)
    before = await world.turns.slots(OWNER, response.id)
    await answer.write(words("one"))
    assert await world.turns.slots(OWNER, response.id) == before
    await world.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)
    with pytest.raises(Superseded):
        await answer.write(words(" two"))


async def test_an_answer_that_differs_opens_an_item_of_its_own(world: World) -> None:
    response = await interrupted(world)
    answer = await started_run(world, response, continues=False)
    await answer.write(words("one", " 2"))
    assert await items_of(world, response) == [("one two", ItemStatus.INCOMPLETE), ("one 2", ItemStatus.IN_PROGRESS)]
    ids = [item.id for item in (await world.log(response)).items]
    assert len({*ids}) == 2
    assert [one.startswith(f"msg_{response.thread}") for one in ids] == [True, True]


@pytest.mark.parametrize(
    ("continues", "counted", "output_tokens"),
    [
        (True, TokenUsage(input_tokens=9, output_tokens=5), 7),
        (False, TokenUsage(input_tokens=9, output_tokens=5), 5),
        (True, None, 3),
        (False, None, 1),
    ],
)
async def test_usage_includes_the_tokens_of_earlier_attempts_where_the_answer_is_continued(
    world: World, *, continues: bool, counted: TokenUsage | None, output_tokens: int
) -> None:
    response = await interrupted(world)
    answer = await started_run(world, response, continues=continues)
    await answer.write(words("one"))
    assert answer.turn_usage(counted).output_tokens == output_tokens


async def test_an_abandoned_item_is_not_counted(world: World) -> None:
    response = await interrupted(world)
    other = await started_run(world, response, continues=False)
    await other.write(words("one"))
    await other.write(words(" 2", " 3"))
    assert (await world.log(response)).pieces == 3
    continued = await started_run(world, response, continues=True)
    assert continued.partial == "one 2 3"
    await continued.write(words(" 4"))
    assert continued.turn_usage(None).output_tokens == 4
    assert (await world.log(response)).pieces == 4
