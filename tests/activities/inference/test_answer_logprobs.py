"""Do the log probabilities in the log stay those of its text when an answer is repeated, continued or taken over?"""

import asyncio
from collections.abc import Sequence

import pytest

from activities.inference.answer_logprobs import storable
from clients.backends.port import AnswerEnd, TextPiece
from domain.content.items import ItemStatus
from domain.fleet.catalog import ContinuationMode
from domain.log.events import Slot
from domain.log.token_logprobs import MOST_DOCUMENT_BYTES, TokenLogprob, TokenOption
from domain.log.transcript import Transcript, read_log
from domain.turns.response import Response
from tests.activities.inference.test_attempt_run import infer, instantly, scene
from tests.fakes.backends import Act
from tests.fakes.worlds import OWNER, World

END = AnswerEnd(reason="stop", usage=None)


def scored(text: str, logprob: float = -0.5) -> TextPiece:
    chosen = TokenOption(text, logprob, text.encode())
    return TextPiece(text=text, logprobs=(TokenLogprob(chosen=chosen, options=(chosen,) * 3),))


def says_scored(*texts: str, logprob: float = -0.5) -> list[Act]:
    return [*(scored(text, logprob) for text in texts), END]


async def begin(world: World, *, top: int = 2) -> Response:
    response = await world.admit("count", parameters={"logprobs": True, "top_logprobs": top})
    await world.turns.begin(OWNER, response.id, execution="first")
    return response


async def tokens_of(world: World, response: Response) -> list[list[tuple[str, float, int]]]:
    log = await world.log(response)
    return [
        [(token.chosen.token, token.chosen.logprob, len(token.options)) for token in log.logprobs[item.id]]
        for item in log.items
    ]


@instantly
async def test_each_token_of_an_answer_is_in_the_log_with_as_many_options_as_were_asked_for() -> None:
    world, _ = scene(says_scored("one", " two"))
    response = await begin(world, top=2)
    await infer(world, response)
    assert await tokens_of(world, response) == [[("one", -0.5, 2), (" two", -0.5, 2)]]


@instantly
async def test_nothing_is_kept_that_nobody_asked_for() -> None:
    world, _ = scene(says_scored("one"))
    response = await world.admit("count")
    await world.turns.begin(OWNER, response.id, execution="first")
    await infer(world, response)
    assert (await world.log(response)).logprobs == {}


async def take_over(world: World, response: Response) -> Transcript:
    """Let a second run take the attempt over after two seconds."""
    first = infer(world, response)
    await asyncio.sleep(2)
    await infer(world, response)
    await first
    return await world.log(response)


def texts(log: Transcript) -> list[tuple[str, str, ItemStatus]]:
    return [
        (item.text, "".join(token.chosen.token for token in log.logprobs.get(item.id, ())), item.status)
        for item in log.items
    ]


CUTS: list[tuple[ContinuationMode, Sequence[str], list[tuple[str, str, ItemStatus]]]] = [
    (ContinuationMode.ASSISTANT_PREFILL, [" three"], [("one two three", "one two three", ItemStatus.COMPLETED)]),
    (ContinuationMode.NO, ["one", " two", " three"], [("one two three", "one two three", ItemStatus.COMPLETED)]),
    (ContinuationMode.NO, ["one two", " three"], [("one two three", "one two three", ItemStatus.COMPLETED)]),
    (
        ContinuationMode.NO,
        ["one", " 2", " 3"],
        [("one two", "one two", ItemStatus.INCOMPLETE), ("one 2 3", "one 2 3", ItemStatus.COMPLETED)],
    ),
    (
        ContinuationMode.NO,
        ["one"],
        [("one two", "one two", ItemStatus.INCOMPLETE), ("one", "one", ItemStatus.COMPLETED)],
    ),
]


@pytest.mark.parametrize(("mode", "again", "expected"), CUTS)
def test_the_tokens_of_each_item_are_its_text_after_a_takeover(
    mode: ContinuationMode, again: Sequence[str], expected: list[tuple[str, str, ItemStatus]]
) -> None:
    @instantly
    async def taken_over() -> None:
        stalled = asyncio.Event()
        world, _ = scene([scored("one"), scored(" two"), stalled], says_scored(*again, logprob=-1), continues=mode)
        log = await take_over(world, await begin(world))
        assert texts(log) == expected

    taken_over()


@instantly
async def test_a_token_across_the_end_of_the_shown_text_is_sent_whole() -> None:
    stalled = asyncio.Event()
    world, _ = scene([scored("one"), stalled], says_scored("one tw", "o"), continues=ContinuationMode.NO)
    log = await take_over(world, await begin(world))
    assert texts(log) == [("one two", "oneone two", ItemStatus.COMPLETED)]


@instantly
async def test_an_answer_without_them_fails_and_shows_nothing() -> None:
    world, _ = scene([TextPiece(text="one"), END])
    response = await begin(world)
    result = await infer(world, response)
    log = await world.log(response)
    assert (result["result"], log.items) == ("failed", ())
    assert 'no logprobs in mid-answer: it returns no log probabilities; set logprobs = "no"' in result["message"]


def test_what_one_document_has_no_room_for_becomes_several_slots() -> None:
    large = TokenOption("a" * 1000, -1, b"a" * 1000)
    piece = TextPiece(text="a", logprobs=(TokenLogprob(chosen=large, options=(large,) * 20),))
    runs = list(storable([piece] * 40))
    assert [each for run in runs for each in run] == [piece] * 40
    assert len(runs) > 1
    for run in runs:
        assert sum(token.size for each in run for token in each.logprobs) <= MOST_DOCUMENT_BYTES
    assert list(storable([])) == [[]]


@instantly
async def test_a_later_reader_gets_what_the_writer_had() -> None:
    world, _ = scene(says_scored("one", " two"))
    response = await begin(world)
    await infer(world, response)
    log = await world.log(response)
    slots = await world.turns.slots(OWNER, response.id)
    assert read_log(slots).logprobs == log.logprobs
    assert read_log(Slot.from_document(slot.to_document()) for slot in slots).logprobs == log.logprobs
