"""Is a stored document that cannot be read told by its id, and left out where it can be?"""

from collections.abc import Mapping
from typing import Any

import pytest

from clients.storage.damage import body_from, kind_of, parsed, read_or_none, readable
from clients.storage.port import Document
from domain.errors import DamagedRecord


def test_a_body_is_read_with_its_fields() -> None:
    body = body_from("a", b'{"kind": "item", "n": 1}')
    assert (dict(body), body.get("missing"), kind_of(body)) == ({"kind": "item", "n": 1}, None, "item")
    with pytest.raises(DamagedRecord, match="a"):
        body["missing"]


@pytest.mark.parametrize("data", [b"", b"[]", b"5", b"no JSON", b"\xff", b"[" * 100_000])
def test_every_look_at_what_is_no_object_tells_the_damage(data: bytes) -> None:
    body = body_from("doc_7", data)
    assert kind_of(body) is None
    for look in (lambda: body["n"], lambda: body.get("n"), lambda: list(body), lambda: len(body)):
        with pytest.raises(DamagedRecord, match="doc_7"):
            look()


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"n": 1e400}', float("inf")),
        (b'{"n": Infinity}', float("inf")),
        (b'{"n": "\\ud800"}', "\ud800"),
        (b'{"n": 123456789012345678901234567890}', 123456789012345678901234567890),
        (b'{"n": -0.0, "m": 1, "n": 0.1}', 0.1),
    ],
)
def test_whatever_json_reads_is_read(data: bytes, value: object) -> None:
    assert body_from("a", data)["n"] == value


def number_of(body: Mapping[str, Any]) -> int:
    return 10 // int(body["n"])


@pytest.mark.parametrize("fields", [{}, {"n": None}, {"n": "x"}, {"n": 0}])
def test_a_field_of_another_shape_is_damage(fields: dict[str, Any]) -> None:
    with pytest.raises(DamagedRecord, match="doc_7"):
        parsed("doc_7", number_of, fields)


def test_a_list_leaves_out_what_is_damaged_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    documents = [Document(id=f"doc_{number}", body={"n": number}, etag="e") for number in (5, 0, 2)]
    assert list(readable(documents, lambda each: each.read_as(number_of))) == [2, 5]
    (record,) = caplog.records
    assert "doc_0" in record.getMessage()
    assert read_or_none(None, lambda each: each) is None
