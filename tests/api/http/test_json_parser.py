"""Does the parser read what JSON says, within the memory that a text may take, and name what is wrong?"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.json_parser import KEPT_LIMIT, SHORT, JsonParser, memory_for, most_memory
from domain.errors import Invalid

TEXTS = st.lists(st.sampled_from([*'{}[]",:1a\\ud8e-. \n', "null", "true", '{"a":', "1e9", "NaN"])).map("".join)


@given(TEXTS | TEXTS.map(lambda text: f'{{"a":[{text}]}}'))
def test_the_parser_reads_what_the_standard_library_reads(text: str) -> None:
    careful = outcome(lambda: JsonParser(text).parse())
    quick = outcome(lambda: json.loads(text, parse_constant=rejected_constant))
    assert careful == quick or (isinstance(careful, str) and any(reason in careful for reason in STRICTER))


STRICTER = ("duplicate name", "surrogate", "not a JSON number")
"""Why a text that `json` reads is rejected."""


def outcome(read: Callable[[], Any]) -> Any:
    try:
        return [read()]
    except Invalid as error:
        return str(error)
    except ValueError:
        return None


def rejected_constant(name: str) -> None:
    raise ValueError(name)


VALUES = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("ab", min_size=1), VALUES, max_size=3))
def test_an_object_takes_no_more_memory_than_its_signs_allow(value: dict[str, Any]) -> None:
    parser = JsonParser(json.dumps(value))
    parser.parse()
    assert 0 < memory_for(parser.text) - parser.room <= most_memory(parser.text)


def test_a_short_text_that_occurs_again_is_kept_once_and_a_long_one_is_not() -> None:
    short, long = "s" * SHORT, "l" * (SHORT + 1)
    first, second, third, fourth = JsonParser(json.dumps([short, short, long, long])).parse()
    assert first is second
    assert (third is fourth, third) == (False, fourth)


def test_only_so_many_texts_are_kept() -> None:
    parser = JsonParser(json.dumps([str(number) for number in range(KEPT_LIMIT + 5)]))
    assert len(parser.parse()) == KEPT_LIMIT + 5
    assert len(parser.kept) == KEPT_LIMIT


@pytest.mark.parametrize(
    ("text", "problem", "position"),
    [
        ('{"a" 1}', "Expecting ':' delimiter", 5),
        ("{1: 2}", "Expecting property name enclosed in double quotes", 1),
        ('{"a": 1,}', "Expecting property name enclosed in double quotes", 8),
        ("[1 2]", "Expecting ',' delimiter", 3),
        ("[1", "Expecting ',' delimiter", 2),
        ("[] []", "Extra data", 3),
    ],
)
def test_what_is_no_json_is_told_with_its_position(text: str, problem: str, position: int) -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        JsonParser(text).parse()
    assert (caught.value.msg, caught.value.pos) == (problem, position)
