"""Which bodies are accepted as JSON objects, and which error does every other body get?"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.json_body import read_object
from api.http.json_parser import DEPTH_LIMIT, RESERVED_NAMES, JsonParser
from domain.errors import Invalid

REJECTED: dict[str, tuple[bytes, str | None, str]] = {
    "empty": (b"", None, "empty"),
    "white space": (b" \r\n", None, "empty"),
    "not JSON": (b"hello", None, "not JSON: Expecting value at line 1, column 1"),
    "two values": (b"{} {}", None, "not JSON: Extra data"),
    "an array": (b"[]", None, "not a JSON object"),
    "a text": (b'"a"', None, "not a JSON object"),
    "null": (b"null", None, "not a JSON object"),
    "NaN alone": (b"NaN", None, "not a JSON object"),
    "not UTF-8": (b'{"a": "\xff"}', None, "not UTF-8 at byte 7"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), None, "not UTF-8"),
    "a byte order mark": (b'\xef\xbb\xbf{"a": 1}', None, "not JSON"),
    "nested 100,000 deep, open": (b'{"a":' * 100_000, "a" + ".a" * 63, "nested deeper"),
    "nested 100,000 deep, closed": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "a" + ".a" * 63, "nested deeper"),
    "arrays 100,000 deep": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "a" + "[0]" * 63, "nested deeper"),
    "a number of many digits": (b'{"a": ' + b"9" * 5000 + b"}", None, "too many digits"),
    "one level too deep": (b'{"a":' + b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT + b"}", "a" + "[0]" * 63, "nested"),
    "NaN": (b'{"a": {"b": [1, NaN]}}', "a.b[1]", "NaN is not a JSON number"),
    "Infinity": (b'{"a": -Infinity}', "a", "-Infinity is not a JSON number"),
    "a number beyond a double": (b'{"a": 1e999}', "a", "too large"),
    "a name twice": (b'{"a": {"b": 1, "b": 1}}', "a.b", "duplicate name"),
    "a name twice, spelled differently": (b'{"a": 1, "\\u0061": 1}', "a", "duplicate name"),
    "a class": (b'{"a": [{"__class__": "x"}]}', "a[0].__class__", "reserved"),
    "a module": (b'{"__module__": "x"}', "__module__", "reserved"),
    "data": (b'{"a": {"__data__": {}}}', "a.__data__", "reserved"),
    "half a surrogate pair": (b'{"a": "\\ud800"}', "a", "surrogate"),
    "half a surrogate pair in a name": (b'{"b": {"\\udfff": 1}}', "b", "surrogate"),
}


@pytest.mark.parametrize(("raw", "field", "message"), REJECTED.values(), ids=REJECTED)
def test_an_invalid_body_is_rejected_with_its_field(raw: bytes, field: str | None, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_object(raw)
    assert caught.value.field == field
    assert message in str(caught.value)


def test_the_deepest_allowed_body_is_read() -> None:
    raw = b'{"a":' + b"[" * (DEPTH_LIMIT - 1) + b"]" * (DEPTH_LIMIT - 1) + b"}"
    assert read_object(raw) == json.loads(raw)


def test_a_long_name_is_shortened_and_made_printable() -> None:
    with pytest.raises(Invalid) as caught:
        read_object(json.dumps({"\n" + "x" * 10_000: float("nan")}).encode())
    assert caught.value.field == "?" + "x" * 199 + "…"


NAMES = st.text().filter(lambda name: name not in RESERVED_NAMES)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, JSON, max_size=4), st.booleans())
def test_every_valid_object_is_read_unchanged(value: dict[str, Any], escaped: bool) -> None:  # noqa: FBT001 - drawn
    text = json.dumps(value, ensure_ascii=escaped)
    assert read_object(text.encode()) == value
    assert JsonParser(text).parse() == value


HEAVY = {
    "objects": '{"a":1}',
    "empty objects": "{}",
    "empty arrays": "[]",
    "arrays in arrays": "[" * 60 + "]" * 60,
}


@pytest.mark.parametrize("unit", HEAVY.values(), ids=HEAVY)
def test_values_that_take_many_times_their_text_are_rejected(unit: str) -> None:
    raw = f'{{"input":[{",".join([unit] * (200_000 // len(unit)))}]}}'.encode()
    with pytest.raises(Invalid, match="too many values"):
        read_object(raw)


def test_a_body_of_many_short_items_is_read() -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
    body = {"input": [item] * 10_000}
    assert read_object(json.dumps(body).encode()) == body


@given(
    st.binary() | st.text().map(str.encode) | st.lists(st.sampled_from('{}[]",:1a\\ud8e-')).map("".join).map(str.encode)
)
def test_any_bytes_are_read_as_an_object_or_rejected(raw: bytes) -> None:
    try:
        assert isinstance(read_object(raw), dict)
    except Invalid as error:
        message = str(error)
    else:
        return
    assert message.endswith(".")
