"""Is JSON with long texts the same as that of `json.dumps`?"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.json_text import LONG, json_bytes, json_text

PLAIN = "A" * LONG
ODD = ["\0", '"\0"', "\\u0000", '"', "\\", "\n", "\x1f", "\x7f", "é", "\U0001f642", "</script>"]

texts = st.one_of(st.text(max_size=20), st.sampled_from(ODD), st.sampled_from([PLAIN, *(PLAIN + odd for odd in ODD)]))
scalars = st.one_of(texts, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


def expected(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@given(values)
def test_every_value_is_written_as_json_dumps_writes_it(value: Any) -> None:
    assert json_text(value) == expected(value)
    assert json_bytes(value) == expected(value).encode()


@pytest.mark.parametrize("mark", ["\0", '"\0"'])
def test_a_text_that_looks_like_the_mark_is_no_mark(mark: str) -> None:
    for value in ([mark, PLAIN], {mark: PLAIN, "b": mark}, (PLAIN, mark, PLAIN + mark)):
        assert json_text(value) == expected(value)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("place", [0, LONG - 1, LONG, 3 * LONG])
def test_characters_at_the_edges_of_blocks_are_escaped(odd: str, place: int) -> None:
    text = "A" * place + odd + "B" * 2 * LONG
    assert json_text([text]) == expected([text])


def test_what_is_no_json_in_utf8_is_an_error() -> None:
    for value in ([float("nan"), PLAIN], ["\ud800", PLAIN], [PLAIN + "\ud800"]):
        with pytest.raises(ValueError, match=r"JSON|surrogates"):
            json_bytes(value)
