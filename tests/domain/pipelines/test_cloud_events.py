"""Is an event read as CloudEvents 1.0 says, and is the attribute named that is wrong?"""

import base64
from typing import Any

import pytest

from domain.errors import Invalid
from domain.pipelines.cloud_events import LONGEST, is_json, read_event

EVENT: dict[str, Any] = {"specversion": "1.0", "id": "A-1", "source": "/shop", "type": "order.made"}


def packed(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_an_event_is_known_by_its_source_and_its_id() -> None:
    found = read_event({**EVENT, "data": {"n": 1}, "extension1": "x"})
    assert (found.source, found.id, found.part(["extension1"])) == ("/shop", "A-1", "x")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"source": "s" * (LONGEST + 1)}, "source"),
        ({"type": None}, "type"),
        ({"Subject": "x"}, "Subject"),
        ({"my_name": "x"}, "my_name"),
        ({"data": 1, "data_base64": packed(b"1")}, "data_base64"),
        ({"data_base64": "no base64!"}, "data_base64"),
        ({"data_base64": 5}, "data_base64"),
        ({"data_base64": packed(b"no JSON")}, "data_base64"),
        ({"data_base64": packed(b"\xff"), "datacontenttype": "text/plain"}, "data_base64"),
        ({"data_base64": packed(b"NaN")}, "data_base64"),
        ({"data_base64": packed(rb'"\ud800"')}, "data_base64"),
        ({"data_base64": packed(b"[" * 100_000)}, "data_base64"),
    ],
)
def test_the_wrong_attribute_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid, match=rf"^Invalid 'events\[1\]\.{field}': expected ") as caught:
        read_event(EVENT | changes, where="events[1]")
    assert (caught.value.field, caught.value.code) == (f"events[1].{field}", "invalid_value")
    with pytest.raises(Invalid) as alone:
        read_event(EVENT | changes)
    assert alone.value.field == field


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type"])
def test_a_required_attribute_is_missing(missing: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_event({name: value for name, value in EVENT.items() if name != missing})
    assert caught.value.field == missing


@pytest.mark.parametrize(
    ("kind", "data", "read"),
    [
        ({}, b'{"n": 1}', {"n": 1}),
        ({"datacontenttype": "application/cloud+JSON; charset=utf-8"}, b"[1]", [1]),
        ({"datacontenttype": "text/plain"}, "é [1]".encode(), "é [1]"),
    ],
)
def test_binary_data_is_read_as_its_content_type_says(kind: dict[str, str], data: bytes, read: Any) -> None:
    content = read_event({**EVENT, **kind, "data_base64": packed(data)}).content
    assert content == {**EVENT, **kind, "data": read}


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (["data", "text"], "hi"),
        (["data", "lines"], '[1, "é"]'),
        (["data", "none"], None),
        (["data", "text", "deeper"], None),
        (["missing"], None),
    ],
)
def test_a_part_is_a_text_or_json(names: list[str], part: str | None) -> None:
    data = {"text": "hi", "lines": [1, "é"], "none": None}
    assert read_event({**EVENT, "data": data}).part(names) == part


def test_media_types_of_json() -> None:
    assert is_json("Application/JSON ; charset=utf-8")
    assert is_json("application/problem+json")
    assert not is_json("application/jsonl")
    assert not is_json("text/plain")
