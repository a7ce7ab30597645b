"""Which packed texts are accepted, and how much may they unpack to?"""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content.packed_text import MOST_RATIO, content_of, json_size, summary_of
from domain.errors import Invalid

SUMMARY = "The user asked for the sales of 2025 by region; north had 4,711, south 815. Open: the forecast for May. " * 3


def packed(text: str, level: int = 9) -> str:
    return base64.b64encode(zlib.compress(text.encode(), level)).decode()


@given(st.text() | st.text().map(lambda text: text * 500))
def test_every_summary_that_is_issued_is_read(summary: str) -> None:
    assert summary_of(content_of(summary)) == summary


def test_an_item_of_an_earlier_release_is_read() -> None:
    text = SUMMARY[:300]
    assert summary_of(packed(text, -1)) == text


BOMBS = {
    "a megabyte of one letter": packed("a" * 1_000_000),
    "ten megabytes": packed("a" * 10_000_000),
    "control characters, which JSON escapes": packed("\x01" * 90, 9),
    "a little too much": packed(SUMMARY * 9),
}


@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS)
def test_an_item_that_unpacks_to_many_times_its_length_is_rejected(content: str) -> None:
    with pytest.raises(Invalid, match="more than 3 times its length"):
        summary_of(content)


NOT_OURS = {
    "no base64": "gibberish!",
    "no zlib": base64.b64encode(b"gibberish").decode(),
    "cut off": base64.b64encode(zlib.compress(SUMMARY.encode())[:-9]).decode(),
    "no UTF-8": base64.b64encode(zlib.compress(b"\xff")).decode(),
    "nothing": "",
}


@pytest.mark.parametrize("content", NOT_OURS.values(), ids=NOT_OURS)
def test_content_that_was_not_issued_here_is_rejected(content: str) -> None:
    with pytest.raises(Invalid, match="not issued by this service"):
        summary_of(content)


@given(st.text(max_size=2000))
def test_a_summary_never_takes_more_than_the_ratio(text: str) -> None:
    content = packed(text)
    try:
        summary = summary_of(content)
    except Invalid:
        return
    assert json_size(summary) <= MOST_RATIO * len(content)
