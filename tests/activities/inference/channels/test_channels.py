"""Do reasoning and refusals reach the log once, in items and parts of their own, whatever happens between attempts?"""

import pytest

from activities.inference.answer_writer import AnswerWriter
from clients.backends.port import AnswerEnd, Channel, TextPiece
from domain.content.items import Item, ItemKind, ItemStatus
from domain.content.schema_tool_calls import ParsedAnswer
from domain.content.tools import FunctionCall
from domain.log.events import AttemptOutcome, EventKind, TokenUsage
from domain.log.transcript import kept_items
from domain.turns.response import Response
from tests.activities.inference.test_answer_writer import started_run, words, world
from tests.fakes.worlds import OWNER, World

__all__ = ["world"]

DONE, CUT, OPEN = ItemStatus.COMPLETED, ItemStatus.INCOMPLETE, ItemStatus.IN_PROGRESS
REASONING, MESSAGE = ItemKind.REASONING, ItemKind.MESSAGE
FINISHED = AttemptOutcome(attempt=1, result="done")


def thoughts(*texts: str) -> list[TextPiece]:
    return [TextPiece(text=text, channel=Channel.REASONING) for text in texts]


def refusals(*texts: str) -> list[TextPiece]:
    return [TextPiece(text=text, channel=Channel.REFUSAL) for text in texts]


async def run(world: World, response: Response, *writes: list[TextPiece], continues: bool = False) -> AnswerWriter:
    answer = await started_run(world, response, continues=continues)
    for pieces in writes:
        await answer.write(pieces)
    return answer


async def finished(answer: AnswerWriter, *calls: FunctionCall, is_complete: bool = True) -> None:
    parsed = answer.parsed_answer(AnswerEnd(reason="stop", usage=None, calls=calls))
    await answer.finish(FINISHED, parsed or ParsedAnswer(), is_complete=is_complete)


async def items_of(world: World, response: Response) -> list[tuple[ItemKind, str, ItemStatus]]:
    return [(item.kind, item.text + item.refusal, item.status) for item in (await world.log(response)).items]


async def kept(world: World, response: Response) -> list[str]:
    return [item.text + item.refusal for item in kept_items(await world.log(response))]


async def test_reasoning_is_an_item_before_the_message(world: World) -> None:
    response = await world.admit("why?")
    answer = await run(world, response, thoughts("I"), [*thoughts(" think"), *words("Yes")], list(words(".")))
    await finished(answer)
    assert await items_of(world, response) == [(REASONING, "I think", DONE), (MESSAGE, "Yes.", DONE)]
    first, second = (await world.log(response)).items
    assert first.id.startswith("rs_")
    assert second.id.startswith("msg_")
    assert answer.turn_usage(None) == TokenUsage(output_tokens=4, reasoning_tokens=2)


async def test_the_pieces_of_an_answer_and_of_its_reasoning_are_counted_once(world: World) -> None:
    response = await world.admit("why?")
    await run(world, response, thoughts("I"), [*thoughts(" think"), *words("Yes")], list(words(".")))
    slots = await world.turns.slots(OWNER, response.id)
    assert [slot.pieces for slot in slots][-3:] == [1, 2, 1]
    assert (await world.log(response)).pieces == 4


@pytest.mark.parametrize("continues", [True, False])
async def test_reasoning_that_is_repeated_is_written_once(world: World, *, continues: bool) -> None:
    response = await world.admit("why?")
    await run(world, response, thoughts("I", " think"))
    answer = await run(world, response, thoughts("I", " think", " so"), list(words("Yes")), continues=continues)
    await finished(answer)
    assert await items_of(world, response) == [(REASONING, "I think so", DONE), (MESSAGE, "Yes", DONE)]


async def test_reasoning_that_differs_becomes_an_item_of_its_own_and_the_other_is_dropped(world: World) -> None:
    response = await world.admit("why?")
    await run(world, response, thoughts("I", " think"))
    answer = await run(world, response, thoughts("I", " guess"), list(words("Yes")))
    await finished(answer)
    assert await items_of(world, response) == [
        (REASONING, "I think", CUT),
        (REASONING, "I guess", DONE),
        (MESSAGE, "Yes", DONE),
    ]
    assert await kept(world, response) == ["I guess", "Yes"]


@pytest.mark.parametrize(("again", "left"), [([], []), (["I"], [(REASONING, "I", DONE)])])
async def test_reasoning_that_ends_earlier_replaces_what_was_shown(
    world: World, again: list[str], left: list[tuple[ItemKind, str, ItemStatus]]
) -> None:
    response = await world.admit("why?")
    await run(world, response, thoughts("I", " think"))
    await finished(await run(world, response, thoughts(*again), list(words("Yes"))))
    assert await items_of(world, response) == [(REASONING, "I think", CUT), *left, (MESSAGE, "Yes", DONE)]
    assert (await kept(world, response))[-1] == "Yes"


@pytest.mark.parametrize("continues", [True, False])
async def test_the_reasoning_of_a_second_run_is_not_shown_after_the_text_has_begun(
    world: World, *, continues: bool
) -> None:
    response = await world.admit("why?")
    await run(world, response, thoughts("I think"), list(words("Yes")))
    rest = words(", sir") if continues else words("Yes", ", sir")
    await finished(await run(world, response, thoughts("Anew"), list(rest), continues=continues))
    assert await items_of(world, response) == [(REASONING, "I think", DONE), (MESSAGE, "Yes, sir", DONE)]


async def test_reasoning_after_the_beginning_of_the_text_follows_the_message(world: World) -> None:
    response = await world.admit("why?")
    answer = await run(world, response, list(words("Let me")), thoughts("hm"), list(words(" look.")))
    await finished(answer, FunctionCall(name="look", arguments="{}"))
    assert await items_of(world, response) == [
        (MESSAGE, "Let me look.", DONE),
        (REASONING, "hm", DONE),
        (ItemKind.FUNCTION_CALL, "{}", DONE),
    ]


async def test_reasoning_before_a_call_needs_no_message(world: World) -> None:
    response = await world.admit("why?")
    await finished(await run(world, response, thoughts("hm")), FunctionCall(name="look", arguments="{}"))
    assert [kind for kind, _, _ in await items_of(world, response)] == [REASONING, ItemKind.FUNCTION_CALL]


async def test_an_answer_that_is_cut_in_its_reasoning_has_no_message(world: World) -> None:
    response = await world.admit("why?")
    await finished(await run(world, response, thoughts("hm")), is_complete=False)
    assert await items_of(world, response) == [(REASONING, "hm", CUT)]
    assert await kept(world, response) == ["hm"]


async def test_reasoning_alone_is_followed_by_an_empty_message(world: World) -> None:
    response = await world.admit("why?")
    await finished(await run(world, response, thoughts("hm")))
    assert await items_of(world, response) == [(REASONING, "hm", DONE), (MESSAGE, "", DONE)]


async def only_item(world: World, response: Response) -> Item:
    (item,) = (await world.log(response)).items
    return item


async def test_a_refusal_is_a_part_of_the_message(world: World) -> None:
    response = await world.admit("steal")
    await finished(await run(world, response, refusals("I"), refusals(" can't")))
    item = await only_item(world, response)
    assert (item.text, item.refusal, item.status) == ("", "I can't", DONE)


async def test_a_refusal_after_text_closes_the_text_and_keeps_what_follows(world: World) -> None:
    response = await world.admit("steal")
    await finished(await run(world, response, list(words("Well,")), refusals("I can't"), list(words(", sorry"))))
    item = await only_item(world, response)
    assert (item.text, item.refusal) == ("Well,", "I can't, sorry")
    events = [event for slot in await world.turns.slots(OWNER, response.id) for event in slot.events][1:]
    assert [(event.kind, event.is_refusal) for event in events] == [
        (EventKind.ITEM_ADDED, False),
        (EventKind.PART_ADDED, False),
        (EventKind.TEXT, False),
        (EventKind.TEXT_DONE, False),
        (EventKind.PART_DONE, False),
        (EventKind.PART_ADDED, True),
        (EventKind.TEXT, True),
        (EventKind.TEXT, True),
        (EventKind.TEXT_DONE, True),
        (EventKind.PART_DONE, True),
        (EventKind.ITEM_DONE, False),
    ]


async def test_a_refusal_that_is_repeated_is_written_once(world: World) -> None:
    response = await world.admit("steal")
    await run(world, response, refusals("I can't"))
    await finished(await run(world, response, refusals("I can't", " do that")))
    assert (await only_item(world, response)).refusal == "I can't do that"


@pytest.mark.parametrize("continues", [True, False])
async def test_an_answer_after_a_refusal_is_another_message(world: World, *, continues: bool) -> None:
    response = await world.admit("steal")
    await run(world, response, refusals("I can't"))
    answer = await run(world, response, list(words("Sure")), continues=continues)
    assert answer.partial == ""
    await finished(answer)
    assert await items_of(world, response) == [(MESSAGE, "I can't", CUT), (MESSAGE, "Sure", DONE)]
    assert await kept(world, response) == ["Sure"]


async def test_a_refusal_after_an_interrupted_answer_is_another_message(world: World) -> None:
    response = await world.admit("steal")
    await run(world, response, list(words("Sure")))
    await finished(await run(world, response, refusals("I can't")))
    assert await items_of(world, response) == [(MESSAGE, "Sure", CUT), (MESSAGE, "I can't", DONE)]
