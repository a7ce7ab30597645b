"""Is what readers have seen never said again, wherever an answer that is asked for anew is cut?"""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.log.resume_text import ResumedText, TextDelta, after_text, at_end, continue_text, repeat_text

letters = st.text("ab", max_size=8)


def told(state: ResumedText, chunks: Sequence[str]) -> list[TextDelta]:
    """Return what is new of an answer that comes in chunks, its end included."""
    said: list[TextDelta] = []
    for chunk in chunks:
        state, fresh = after_text(state, chunk)
        said.append(fresh)
    return [*said, at_end(state)]


def seen(shown: str, said: Sequence[TextDelta]) -> list[str]:
    """Return the texts of the items that a reader sees, who had seen one item with `shown`."""
    items = [shown]
    for fresh in said:
        items = [*items, fresh.text] if fresh.starts_new_item else [*items[:-1], items[-1] + fresh.text]
    return items


@st.composite
def cut(draw: st.DrawFn, text: str) -> list[str]:
    bounds = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *bounds], [*bounds, len(text)], strict=True)]


@given(shown=letters, rest=letters, data=st.data())
def test_an_answer_that_goes_on_is_added(shown: str, rest: str, data: st.DataObject) -> None:
    assert seen(shown, told(continue_text(shown), data.draw(cut(rest)))) == [shown + rest]


@given(shown=letters, rest=letters, data=st.data())
def test_an_answer_that_repeats_what_was_shown_adds_what_is_new_alone(
    shown: str, rest: str, data: st.DataObject
) -> None:
    assert seen(shown, told(repeat_text(shown), data.draw(cut(shown + rest)))) == [shown + rest]


@given(shown=letters, again=letters, data=st.data())
def test_an_answer_that_differs_stands_whole_in_an_item_of_its_own(shown: str, again: str, data: st.DataObject) -> None:
    items = seen(shown, told(repeat_text(shown), data.draw(cut(again))))
    assert items == ([again] if again.startswith(shown) else [shown, again])


@given(shown=letters, again=letters, data=st.data())
def test_nothing_is_shown_while_it_repeats_and_an_item_is_given_up_once(
    shown: str, again: str, data: st.DataObject
) -> None:
    chunks = data.draw(cut(again))
    said = told(repeat_text(shown), chunks)
    for count, fresh in enumerate(said[:-1], 1):
        repeats = shown.startswith("".join(chunks[:count]))
        assert not repeats or fresh == TextDelta(text="")
    assert sum(fresh.starts_new_item for fresh in said) <= 1


@pytest.mark.parametrize(
    ("shown", "chunks", "expected"),
    [
        (
            "one two",
            ["one", " two", " three"],
            [TextDelta(text=""), TextDelta(text=""), TextDelta(text=" three"), TextDelta(text="")],
        ),
        ("one two", ["one two three"], [TextDelta(text=" three"), TextDelta(text="")]),
        (
            "one two",
            ["one", " 2"],
            [TextDelta(text=""), TextDelta(text="one 2", starts_new_item=True), TextDelta(text="")],
        ),
        ("one two", ["one"], [TextDelta(text=""), TextDelta(text="one", starts_new_item=True)]),
        ("one", [], [TextDelta(text="", starts_new_item=True)]),
        ("", ["one"], [TextDelta(text="one"), TextDelta(text="")]),
        ("", [], [TextDelta(text="")]),
    ],
)
def test_what_is_new_of_an_answer(shown: str, chunks: list[str], expected: list[TextDelta]) -> None:
    assert told(repeat_text(shown), chunks) == expected
