"""Is every operation refused that Azure Cosmos DB would refuse?"""

from typing import Any

import pytest

from clients.storage.port import (
    BYTES_LIMIT,
    OPERATIONS_LIMIT,
    Add,
    Container,
    Create,
    Delete,
    DocumentKey,
    Operation,
    Replace,
)
from clients.storage.validation import (
    COUNTERS_LIMIT,
    NESTING_LIMIT,
    check_identifier,
    check_key,
    check_range,
    depth,
    encoded,
    incremented,
    payloads,
)
from domain.errors import Exhausted, Invalid

KEY = DocumentKey(container=Container.MONEY, parts=("tenant",))


@pytest.mark.parametrize(
    ("container", "parts"),
    [
        (Container.MONEY, ()),
        (Container.MONEY, ("",)),
        (Container.MONEY, ("a", "b")),
        (Container.TURNS, ("a", "b")),
        (Container.TURNS, ("a", "", "c")),
    ],
)
def test_a_key_has_all_its_parts(container: Container, parts: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"is not a full partition key of {container}"):
        check_key(DocumentKey(container=container, parts=parts))


@pytest.mark.parametrize("identifier", ["", "a/b", "a\\b", "a?b", "a#b", "é", "a\n", "a" * 256])
def test_an_id_is_printable_ascii(identifier: str) -> None:
    check_identifier("a" * 255)
    with pytest.raises(Invalid, match="is not a valid document id"):
        check_identifier(identifier)


def test_a_range_is_ascii() -> None:
    check_range("a", "b")
    with pytest.raises(Invalid, match="document ids are ASCII"):
        check_range("a", "é")


@pytest.mark.parametrize("long", ["", "x" * 100_000])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", ["\udfff"]])
def test_what_no_json_in_utf_8_can_say_is_refused(value: Any, long: str) -> None:
    with pytest.raises(Invalid, match="document 'a' cannot be written as JSON in UTF-8"):
        encoded("a", {"n": value, "long": long})


@pytest.mark.parametrize("long", ["", '[{"\\' * 30_000])
def test_a_body_is_nested_up_to_the_limit(long: str) -> None:
    def nested(levels: int) -> Any:
        return [nested(levels - 1)] if levels else 1

    assert depth(encoded("a", {"n": nested(NESTING_LIMIT - 1), "long": long})) == NESTING_LIMIT
    with pytest.raises(Invalid, match="document 'a' is nested more than 128 deep"):
        encoded("a", {"n": nested(NESTING_LIMIT), "long": long})


def test_brackets_in_texts_are_no_depth() -> None:
    assert depth(rb'{"a": "[[\"[[", "b": [{}]}') == 3


def test_a_batch_has_its_limits() -> None:
    big = "x" * (BYTES_LIMIT - len('a{"t":""}'))
    assert len(payloads(KEY, [Create(id="a", body={"t": big})])) == 1
    for operations, problem in (
        ([], "a batch has 1 to 100 operations, not 0"),
        ([Delete(id="a")] * (OPERATIONS_LIMIT + 1), "a batch has 1 to 100 operations, not 101"),
        ([Create(id="a", body={"t": f"{big}x"})], "a batch has at most 2000000 bytes, not 2000001"),
        ([Add(id="a", amounts=dict.fromkeys("abcdefghijk", 1))], "an Add changes at most 10 counters"),
    ):
        with pytest.raises(Invalid, match=problem):
            payloads(KEY, operations)


def test_the_bytes_of_a_write_are_those_that_its_writer_knows() -> None:
    operations: list[Operation] = [
        Create(id="a", body={"n": 1}, data=b'{"n": 1 }'),
        Create(id="b", body={"n": 1}),
        Replace(id="c", body={}, etag=""),
        Delete(id="d"),
        Add(id="e", amounts=dict.fromkeys("abcdefghij"[:COUNTERS_LIMIT], 1)),
    ]
    assert payloads(KEY, operations) == [b'{"n": 1 }', encoded("b", {"n": 1}), b"{}", b"", b""]


def test_counters_are_added_up_to_their_limits() -> None:
    add = Add(id="a", amounts={"n": 2, "new": 1}, at_most={"n": 3, "other": 0})
    assert incremented({"n": 1, "text": "t"}, add) == {"n": 3, "new": 1, "text": "t"}
    with pytest.raises(Exhausted, match="'a' has reached its limit in n, other") as caught:
        incremented({"n": 2, "other": 1}, add)
    assert caught.value.identifier == "a"


@pytest.mark.parametrize("value", [1.0, True, "1", None])
def test_a_counter_is_a_whole_number(value: Any) -> None:
    with pytest.raises(Invalid, match="field 'n' of 'a' is not a counter"):
        incremented({"n": value}, Add(id="a", amounts={"n": 1}))
