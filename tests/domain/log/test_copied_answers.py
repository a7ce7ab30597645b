"""Does a log that follows an answer say the same in the end, whatever it has shown before, and take nothing back?"""

from collections.abc import Sequence
from copy import replace

from hypothesis import given
from hypothesis import strategies as st

from domain.content.items import Item, ItemKind, ItemStatus
from domain.log.copied_answers import after_events, copied_events, copied_pieces, live_events
from domain.log.events import Ending, EventKind, LogEvent, ResponseStatus
from domain.log.token_logprobs import TokenLogprob, TokenOption
from domain.log.transcript import Transcript, closing_events, kept_items
from tests.checks import every

THREAD = "d" * 24
WORDS = ("", "a", "ab", "abc", "abcd", "abx", "x")
TEXTS = st.sampled_from(WORDS)
OPEN, DONE = ItemStatus.IN_PROGRESS, ItemStatus.COMPLETED


def items_of(reasoning: str, text: str, refusal: str, calls: int) -> tuple[Item, ...]:
    """Return the items of a whole answer."""
    reasoned = [Item(id="rs", kind=ItemKind.REASONING, text=reasoning)] if reasoning else []
    said = [Item(id="msg", text=text, refusal=refusal)] if text or refusal or not calls else []
    called = [
        Item(id=f"fc{number}", kind=ItemKind.FUNCTION_CALL, text="{}", name="look", call_id=f"call{number}")
        for number in range(calls)
    ]
    return (*reasoned, *said, *called)


ANSWERS = st.builds(items_of, TEXTS, TEXTS, st.sampled_from(("", "", "r", "rs")), st.integers(0, 2))


def stages(items: Sequence[Item]) -> list[Transcript]:
    """Return the logs of an answer while it is made: character after character, its calls and its end at once."""
    known, made = list[Transcript](), list[Item]()
    for item in items:
        if item.kind is ItemKind.FUNCTION_CALL:
            break
        known += [
            running((*made, replace(item, status=OPEN, text=item.text[:size], refusal="")))
            for size in range(len(item.text) + 1)
        ]
        known += [
            running((*made, replace(item, status=OPEN, refusal=item.refusal[:size])))
            for size in range(1, len(item.refusal) + 1)
        ]
        made.append(item)
    return known


def running(items: Sequence[Item]) -> Transcript:
    return Transcript(status=ResponseStatus.IN_PROGRESS, items=tuple(items))


def whole(items: Sequence[Item]) -> Transcript:
    ending = Ending(status=ResponseStatus.COMPLETED, at=0.0)
    return Transcript(status=ResponseStatus.COMPLETED, items=tuple(items), ending=ending)


class Follower:
    """The log of a turn that follows others."""

    def __init__(self) -> None:
        self.log, self.number, self.kinds = Transcript(), 0, list[EventKind]()

    def token(self) -> str:
        self.number += 1
        return f"{self.number:024x}"

    def add(self, events: Sequence[LogEvent]) -> None:
        before = self.log
        self.kinds += [event.kind for event in events]
        self.log = after_events(self.log, events)
        for was, now in zip(before.items, self.log.items, strict=False):
            assert now.id == was.id
            assert now.text.startswith(was.text)
            assert now.refusal.startswith(was.refusal)

    def follow(self, made: Transcript) -> None:
        self.add(live_events(made, self.log, thread=THREAD, new_token=self.token))
        assert not live_events(made, self.log, thread=THREAD, new_token=self.token)

    def take_over(self, first: Transcript) -> None:
        self.add(copied_events(first, self.log, thread=THREAD, new_token=self.token))


@given(answers=st.lists(ANSWERS, min_size=1, max_size=3), data=st.data())
def test_a_follower_says_in_the_end_what_the_last_answer_says(
    answers: list[tuple[Item, ...]], data: st.DataObject
) -> None:
    follower = Follower()
    for items in answers:
        known = stages(items)
        seen = data.draw(st.lists(st.integers(0, max(len(known) - 1, 0)), max_size=4).map(sorted)) if known else []
        for number in seen:
            follower.follow(known[number])
    items = answers[-1]
    follower.take_over(whole(items))
    assert follower.kinds.count(EventKind.STARTED) <= 1
    assert not closing_events(follower.log, DONE)
    kept = [item for item in kept_items(follower.log) if item.kind is not ItemKind.REASONING]
    said = [item for item in items if item.kind is not ItemKind.REASONING]
    shows_more = len(kept) > len(said)
    assert [bare(item) for item in kept if not shows_more or item.text] == [bare(item) for item in said]


def test_reasoning_of_an_answer_that_was_given_up_is_not_shown_again_and_again() -> None:
    given_up = (
        Item(id="rs1", kind=ItemKind.REASONING, text="abc"),
        Item(id="msg1", text="no", status=ItemStatus.INCOMPLETE),
    )
    better = Item(id="rs2", kind=ItemKind.REASONING, text="xyz", status=OPEN)
    late, early = Follower(), Follower()
    late.follow(running(()))
    early.follow(running((given_up[0], replace(given_up[1], status=OPEN))))
    for follower in (late, early):
        follower.follow(running((*given_up, better)))
        follower.follow(running((*given_up, replace(better, text="xyzz"))))
        follower.take_over(whole((*given_up, replace(better, text="xyzz", status=DONE), Item(id="msg2", text="yes"))))
    shown = [(item.kind, item.text, item.status) for item in late.log.items]
    assert shown == [(ItemKind.REASONING, "xyzz", DONE), (ItemKind.MESSAGE, "yes", DONE)]
    assert [item.text for item in early.log.items] == ["abc", "no", "yes"]


def bare(item: Item) -> Item:
    return replace(item, id="", status=DONE)


@given(items=ANSWERS, data=st.data())
def test_a_follower_of_one_answer_shows_no_item_twice(items: tuple[Item, ...], data: st.DataObject) -> None:
    follower, known = Follower(), stages(items)
    for number in data.draw(st.lists(st.integers(0, max(len(known) - 1, 0)), max_size=4).map(sorted)) if known else []:
        follower.follow(known[number])
    follower.take_over(whole(items))
    assert [bare(item) for item in follower.log.items] == [bare(item) for item in items]
    assert every(item.status is DONE for item in follower.log.items)


def test_log_probabilities_follow_their_text_once() -> None:
    token = TokenLogprob(chosen=TokenOption("a", -0.1, b"a"))
    half = replace(running((Item(id="msg", text="a", status=OPEN),)), logprobs={"msg": (token,)})
    follower = Follower()
    follower.follow(half)
    follower.take_over(replace(whole((Item(id="msg", text="aa"),)), logprobs={"msg": (token, token)}))
    (item,) = follower.log.items
    assert (item.text, follower.log.logprobs[item.id]) == ("aa", (token, token))


def test_copied_pieces_are_those_that_the_log_lacks() -> None:
    first = replace(running((Item(id="msg", text="abc", status=OPEN),)), pieces=3)
    log = replace(running((Item(id="own", text="a", status=OPEN),)), pieces=1)
    more = live_events(first, log, thread=THREAD, new_token=lambda: "0" * 24)
    assert copied_pieces(first, log, more) == 2
    opening = live_events(first, Transcript(), thread=THREAD, new_token=lambda: "0" * 24)
    assert copied_pieces(first, replace(Transcript(), pieces=9), opening) == 3
