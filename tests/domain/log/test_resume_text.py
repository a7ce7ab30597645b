"""Is what readers have seen never deltas again, wherever an answer that is asked for anew is cut?"""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.log.resume_text import ResumedText, TextDelta, after_text, at_end, continue_text, repeat_text

letters = st.text("ab", max_size=8)


def deltas_of(state: ResumedText, chunks: Sequence[str]) -> list[TextDelta]:
    """Return the deltas of an answer that arrives in chunks, its end included."""
    deltas: list[TextDelta] = []
    for chunk in chunks:
        state, delta = after_text(state, chunk)
        deltas.append(delta)
    return [*deltas, at_end(state)]


def item_texts(shown: str, deltas: Sequence[TextDelta]) -> list[str]:
    """Return the item texts that a reader sees after one item with `shown`."""
    items = [shown]
    for delta in deltas:
        items = [*items, delta.text] if delta.starts_new_item else [*items[:-1], items[-1] + delta.text]
    return items


@st.composite
def cut(draw: st.DrawFn, text: str) -> list[str]:
    bounds = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *bounds], [*bounds, len(text)], strict=True)]


@given(shown=letters, rest=letters, data=st.data())
def test_a_continued_answer_is_appended(shown: str, rest: str, data: st.DataObject) -> None:
    assert item_texts(shown, deltas_of(continue_text(shown), data.draw(cut(rest)))) == [shown + rest]


@given(shown=letters, rest=letters, data=st.data())
def test_a_repeated_answer_adds_only_its_new_text(shown: str, rest: str, data: st.DataObject) -> None:
    assert item_texts(shown, deltas_of(repeat_text(shown), data.draw(cut(shown + rest)))) == [shown + rest]


@given(shown=letters, again=letters, data=st.data())
def test_a_different_answer_gets_an_item_of_its_own(shown: str, again: str, data: st.DataObject) -> None:
    items = item_texts(shown, deltas_of(repeat_text(shown), data.draw(cut(again))))
    assert items == ([again] if again.startswith(shown) else [shown, again])


@given(shown=letters, again=letters, data=st.data())
def test_nothing_is_shown_while_it_repeats_and_an_item_is_given_up_once(
    shown: str, again: str, data: st.DataObject
) -> None:
    chunks = data.draw(cut(again))
    deltas = deltas_of(repeat_text(shown), chunks)
    for count, delta in enumerate(deltas[:-1], 1):
        repeats = shown.startswith("".join(chunks[:count]))
        assert not repeats or delta == TextDelta(text="")
    assert sum(delta.starts_new_item for delta in deltas) <= 1


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
    assert deltas_of(repeat_text(shown), chunks) == expected
