"""Is each document and operation of the port written as an item of Azure Cosmos DB, and read again?"""

from copy import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.storage.cosmos.items import (
    EXACT,
    LATE_S,
    LONGEST_TTL_S,
    NO_ETAG,
    batch_operations,
    body_before,
    check_addition,
    check_numbers,
    document_of,
    etag_condition,
    etags_of,
    expired,
    item_of,
    key_of,
    levels,
    predicate,
    ttl,
)
from clients.storage.port import Add, Container, Create, Delete, DocumentKey, Operation, Replace
from domain.errors import Conflict, Exhausted, Invalid
from tests.checks import every

NOW = 1000.0
KEY = DocumentKey(container=Container.MONEY, parts=("tenant",))
PARTS = st.tuples(*[st.text(min_size=1)] * 3)


@given(parts=PARTS)
def test_every_key_is_printable_ascii_and_read_again(parts: tuple[str, str, str]) -> None:
    key = DocumentKey(container=Container.TURNS, parts=parts)
    written = levels(key)
    assert every(part.isascii() and part.isprintable() for part in written.values())
    assert key_of(Container.TURNS, written) == key


@pytest.mark.parametrize(
    ("seconds", "kept"), [(-5.0, LATE_S), (0.0, LATE_S), (1.2, LATE_S + 2), (1e300, LONGEST_TTL_S)]
)
def test_a_time_to_live_ends_after_the_document_has_expired(seconds: float, kept: int) -> None:
    assert ttl(seconds) == kept


def test_an_item_has_its_key_and_its_body_and_says_when_it_expires() -> None:
    plain = item_of(KEY, Create(id="a", body={"id": "own"}), NOW)
    assert plain == {"id": "a", "tenant": "tenant", "v": 1, "body": {"id": "own"}}
    lasting = item_of(KEY, Replace(id="a", body={}, etag="", expires_at=NOW + 5), NOW)
    assert lasting == {"id": "a", "tenant": "tenant", "v": 1, "body": {}, "expires_at": NOW + 5, "ttl": LATE_S + 5}
    assert not expired(plain, 1e12)
    assert not expired(lasting, NOW + 4.9)
    assert expired(lasting, NOW + 5)


def test_an_etag_tells_until_when_it_is_good() -> None:
    item: dict[str, Any] = {"id": "a", "body": {}, "_etag": '"e"', "expires_at": 1005.5}
    etag = document_of(item).etag
    assert etag == '"e" 1005.5'
    assert (etag_condition(etag, 1005.4), etag_condition(etag, 1005.5)) == ('"e"', NO_ETAG)
    assert etag_condition('"e"', 1e12) == '"e"'


@pytest.mark.parametrize("etag", ["", "e", '"e', '"a b"', '"e" soon', "*"])
def test_a_malformed_etag_matches_nothing(etag: str) -> None:
    assert etag_condition(etag, NOW) == NO_ETAG


def calls_for(*operations: Operation, absent: frozenset[int] = frozenset()) -> list[tuple[int, str]]:
    return [(each.origin, each.name) for each in batch_operations(KEY, operations, absent=absent, now=NOW)]


def test_each_operation_is_one_or_two_of_cosmos() -> None:
    create = Create(id="a", body={})
    new = Replace(id="b", body={}, etag='"e"')
    assert calls_for(create, new, Delete(id="c"), Add(id="d", amounts={"n": 1})) == [
        (0, "create"),
        (1, "replace"),
        (2, "delete"),
        (3, "patch"),
    ]
    born = [replace(create, expires_at=NOW), replace(new, expires_at=NOW)]
    assert calls_for(*born) == [(0, "create"), (0, "delete"), (1, "delete")]
    assert calls_for(create, Delete(id="c"), absent=frozenset({1})) == [(0, "create"), (1, "create"), (1, "delete")]


def test_conditions_are_those_of_the_port() -> None:
    operations = (Delete(id="a"), Delete(id="a", etag='"e"'), Replace(id="a", body={}, etag='"f"'))
    found = batch_operations(KEY, operations, absent=frozenset(), now=NOW)
    assert [each.options for each in found] == [{}, {"if_match_etag": '"e"'}, {"if_match_etag": '"f"'}]


@pytest.mark.parametrize(
    ("most", "condition"),
    [
        (5, "(NOT IS_DEFINED(c.body.held) OR c.body.held <= 3)"),
        (1, "c.body.held <= -1"),
    ],
)
def test_an_addition_has_the_limit_before_it(most: int, condition: str) -> None:
    found = predicate(Add(id="a", amounts={"held": 2}, at_most={"held": most}), NOW)
    assert found == (
        "FROM c WHERE (NOT IS_DEFINED(c.expires_at) OR c.expires_at > 1000.000000) AND "
        f"(NOT IS_DEFINED(c.body.held) OR c.body.held % 1 = 0) AND {condition}"
    )


def test_an_addition_of_nothing_still_proves_that_the_document_is_there() -> None:
    (patch,) = batch_operations(KEY, [Add(id="a", amounts={})], absent=frozenset(), now=NOW)
    assert patch.args == ("a", [{"op": "set", "path": "/v", "value": 1}])


def test_only_what_lasts_has_an_etag_after_a_commit() -> None:
    operations = (
        Create(id="a", body={}),
        Create(id="b", body={}, expires_at=NOW + 9),
        Delete(id="c"),
        Replace(id="d", body={}, etag='"e"'),
    )
    batch = batch_operations(KEY, operations, absent=frozenset(), now=NOW)
    answers = [{"eTag": '"1"'}, {"eTag": '"2"'}, {}, {"etag": '"4"'}]
    assert etags_of(operations, batch, answers) == ['"1"', "", "", '"4"']
    assert etags_of(operations, batch, []) == ["", "", "", ""]


@pytest.mark.parametrize("value", [EXACT + 1, -EXACT - 1, [EXACT + 1], {"a": ({"b": EXACT + 1},)}])
def test_a_number_that_a_double_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(Invalid, match=r"document 'a' contains -?9007199254740993, which a double cannot"):
        check_numbers([Create(id="a", body={"n": value})])


def test_numbers_that_a_double_holds_are_good() -> None:
    check_numbers([Create(id="a", body={"n": [EXACT, -EXACT, 1e300, True, None, "x"]}), Delete(id="a")])


@pytest.mark.parametrize("name", ["a-b", "1a", "", "a.b", "é"])
def test_a_counter_has_a_plain_name(name: str) -> None:
    for operation in (Add(id="a", amounts={name: 1}), Add(id="a", amounts={}, at_most={name: 1})):
        with pytest.raises(Invalid, match="is not a valid counter name"):
            check_numbers([operation])


@pytest.mark.parametrize(
    ("before", "body"),
    [
        ((), {"n": 1}),
        ((Add(id="a", amounts={"n": 2}), Add(id="other", amounts={"n": 9})), {"n": 3}),
        ((Delete(id="a"),), None),
        ((Delete(id="a"), Create(id="a", body={"n": 7})), {"n": 7}),
        ((Replace(id="a", body={"n": 7}, etag="", expires_at=NOW),), None),
        ((Delete(id="a"), Add(id="a", amounts={"n": 1})), None),
    ],
)
def test_an_operation_finds_what_those_before_it_left(before: tuple[Operation, ...], body: Any) -> None:
    assert body_before({"body": {"n": 1}}, before, "a", NOW) == body


def test_the_reason_for_a_rejected_addition_is_told() -> None:
    add = Add(id="a", amounts={"n": 2}, at_most={"n": 3})
    check_addition({"body": {"n": 1}}, (), add, NOW)
    with pytest.raises(Exhausted):
        check_addition({"body": {"n": 2}}, (), add, NOW)
    with pytest.raises(Conflict):
        check_addition(None, (), add, NOW)
    with pytest.raises(Invalid, match="field 'n' of 'a' is not a counter"):
        check_addition({"body": {"n": 0.5}}, (), add, NOW)
