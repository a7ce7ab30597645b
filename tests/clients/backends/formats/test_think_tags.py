"""Is the reasoning in a text found, wherever its tags are cut, and is every other text left as it is?"""

from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.backends.formats.think_tags import ThinkTagSplitter
from clients.backends.port import Channel

A, R = Channel.ANSWER, Channel.REASONING

CASES: list[tuple[str, list[tuple[Channel, str]]]] = [
    ("Hello.", [(A, "Hello.")]),
    ("  Hello. \n", [(A, "  Hello. \n")]),
    ("", []),
    ("<think>Why?</think>Because.", [(R, "Why?"), (A, "Because.")]),
    ("\n<think>\nWhy not?\n\nSo.\n</think>\n\nBecause.\n", [(R, "Why not?\n\nSo."), (A, "Because.\n")]),
    ("<think>\n\n</think>\n\nBecause.", [(A, "Because.")]),
    ("<think></think>", []),
    ("<think>Is a < b, or a </thing?</think>Yes.", [(R, "Is a < b, or a </thing?"), (A, "Yes.")]),
    ("<think>One.</think> <think>Two.</think> Three.", [(R, "One.Two."), (A, "Three.")]),
    ("The tag <think> opens, </think> closes.", [(A, "The tag <think> opens, </think> closes.")]),
    ("<think>Why?</think>It prints <think>x</think>.", [(R, "Why?"), (A, "It prints <think>x</think>.")]),
    ("<think>Never ends", [(R, "Never ends")]),
    ("<think>Never ends </thi", [(R, "Never ends </thi")]),
    ("<thin", [(A, "<thin")]),
    ("<thinking>No tag.", [(A, "<thinking>No tag.")]),
    ("<think>Why?</think> <thin", [(R, "Why?"), (A, "<thin")]),
    ("<think>\U0001f914</think>\U0001f600", [(R, "\U0001f914"), (A, "\U0001f600")]),
]
OPEN_CASES: list[tuple[str, list[tuple[Channel, str]]]] = [
    ("Why?</think>Because.", [(R, "Why?"), (A, "Because.")]),
    ("\nWhy?\n</think>\n\nBecause.", [(R, "Why?"), (A, "Because.")]),
    ("</think>Because.", [(A, "Because.")]),
    ("Never ends", [(R, "Never ends")]),
]


def split(pieces: list[str], *, is_open: bool = False) -> list[tuple[Channel, str]]:
    splitter = ThinkTagSplitter(is_open=is_open)
    found = [each for piece in pieces for each in splitter.feed(piece)]
    found += splitter.end()
    assert all(piece.text for piece in found)  # may be empty: a tag alone is no text
    return [
        (channel, "".join(each.text for each in group)) for channel, group in groupby(found, lambda each: each.channel)
    ]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_a_text_is_split_wherever_it_is_cut(text: str, expected: list[tuple[Channel, str]]) -> None:
    assert split([text]) == expected
    assert split(list(text)) == expected
    for at in range(len(text) + 1):
        assert split([text[:at], text[at:]]) == expected


@pytest.mark.parametrize(("text", "expected"), OPEN_CASES)
def test_a_text_whose_opening_tag_was_in_the_prompt_is_split_wherever_it_is_cut(
    text: str, expected: list[tuple[Channel, str]]
) -> None:
    assert split([text], is_open=True) == expected
    assert split(list(text), is_open=True) == expected


PARTS = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "</", "think", ">", " ", "\n", "a", "\u00e9"]), max_size=12
)


@given(parts=PARTS, cuts=st.sets(st.integers(0, 60)), is_open=st.booleans())
def test_no_cut_changes_what_is_found(parts: list[str], cuts: set[int], is_open: bool) -> None:  # noqa: FBT001
    text = "".join(parts)
    ends = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[begin:end] for begin, end in pairwise(ends)]
    assert split(pieces, is_open=is_open) == split([text], is_open=is_open)


@given(words=st.lists(st.sampled_from(["a", " ", "<b>", "</think>", "\n"]), min_size=1, max_size=8))
def test_a_text_that_does_not_begin_with_a_tag_is_left_as_it_is(words: list[str]) -> None:
    text = "x" + "".join(words)
    assert split(list(text)) == [(A, text)]


def test_reasoning_is_shown_before_it_has_ended() -> None:
    splitter = ThinkTagSplitter()
    shown = [[each.text for each in splitter.feed(piece)] for piece in ("<think>", "I think", " hard", ".</th", "ink>")]
    assert shown == [[], ["I think"], [" hard"], ["."], []]
