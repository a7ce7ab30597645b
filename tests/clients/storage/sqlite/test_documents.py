"""Does the table find, order and count documents as the port says?"""

import sqlite3
from collections.abc import Generator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.storage.port import Add, Body, Container, Create, Delete, DocumentKey, Operation, Replace
from clients.storage.sqlite.documents import (
    FIND,
    LIST,
    READ,
    TABLES,
    columns,
    delete_expired,
    end_of_prefix,
    etag_number,
    find,
    list_range,
    partition_values,
    read,
    reserve_etags,
    write,
)
from clients.storage.validation import payload
from domain.errors import Conflict

KEY = DocumentKey(container=Container.MONEY, parts=("tenant",))
NOW = 1000.0
IDENTIFIERS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="/\\?#"), max_size=4)


@pytest.fixture
def connection() -> Generator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.executescript(TABLES)
        yield made


def apply(connection: sqlite3.Connection, operation: Operation, *, now: float = NOW, key: DocumentKey = KEY) -> int:
    """Run one operation; return the etag that its document has got."""
    (etag,) = reserve_etags(connection, 1)
    write(connection, partition_values(key, now) | {"next": etag}, operation, payload(operation))
    return etag


def body_of(connection: sqlite3.Connection, name: str, *, now: float = NOW) -> Body | None:
    found = read(connection, partition_values(KEY, now) | {"id": name})
    return found[0].body if found else None


def listed(connection: sqlite3.Connection, prefix: str, after: str = "", limit: int = 10) -> list[str]:
    values = partition_values(KEY, NOW) | {"prefix": prefix, "after": after, "limit": limit}
    return [each.id for each in list_range(connection, values)]


@given(IDENTIFIERS, IDENTIFIERS)
def test_a_range_has_the_identifiers_with_its_prefix_and_no_others(prefix: str, identifier: str) -> None:
    assert (prefix <= identifier < end_of_prefix(prefix)) == identifier.startswith(prefix)


def test_a_list_begins_after_a_document_whether_or_not_it_exists(connection: sqlite3.Connection) -> None:
    for name in ("a_1", "a_2", "a_3", "a", "b_1", "a~"):
        apply(connection, Create(id=name, body={}))
    assert listed(connection, "a_") == ["a_1", "a_2", "a_3"]
    assert listed(connection, "a_", after="a_1") == ["a_2", "a_3"]
    assert listed(connection, "a_", after="a_15") == ["a_2", "a_3"]
    assert listed(connection, "a_", after="a") == ["a_1", "a_2", "a_3"]
    assert listed(connection, "a_", after="b") == []
    assert listed(connection, "", limit=3) == ["a", "a_1", "a_2"]


@pytest.mark.parametrize("etag", ["", "x", "-1", " 1", "1.0", "1_0", "²", "\u0661", "9" * 30])
def test_a_malformed_etag_matches_no_document(connection: sqlite3.Connection, etag: str) -> None:
    assert apply(connection, Create(id="one", body={"n": 1})) == 1
    for operation in (Replace(id="one", body={}, etag=etag), Delete(id="one", etag=etag)):
        with pytest.raises(Conflict) as caught:
            apply(connection, operation)
        assert caught.value.identifier == "one"
    assert body_of(connection, "one") == {"n": 1}


def test_an_etag_is_its_number_and_none_stays_none() -> None:
    assert (etag_number("12"), etag_number(None)) == (12, None)


def test_no_document_gets_an_etag_twice(connection: sqlite3.Connection) -> None:
    assert [list(reserve_etags(connection, count)) for count in (2, 1, 3)] == [[1, 2], [3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"kind": "turn", "status": "open", "at": 5}, ("turn", "open", 5.0)),
        ({"kind": "turn", "status": "open", "at": 5.5}, ("turn", "open", 5.5)),
        ({"kind": 1, "status": ["open"], "at": "5"}, (None, None, None)),
        ({"kind": "turn", "status": None, "at": True}, ("turn", None, None)),
        ({"at": 10**400}, (None, None, None)),
        ({}, (None, None, None)),
    ],
)
def test_a_field_of_another_type_is_not_indexed(body: dict[str, Any], found: tuple[object, ...]) -> None:
    assert tuple(columns(body).values()) == found


def test_a_search_is_through_all_partitions_of_one_container_oldest_first(connection: sqlite3.Connection) -> None:
    other = DocumentKey(container=Container.MONEY, parts=("other",))
    fleet = DocumentKey(container=Container.FLEET, parts=("tenant",))
    for key, name, status, at in (
        (KEY, "b", "open", 2.0),
        (other, "a", "open", 1.0),
        (fleet, "c", "open", 0.0),
        (KEY, "d", "closed", 0.0),
        (KEY, "e", "open", 3.0),
    ):
        apply(connection, Create(id=name, body={"kind": "k", "status": status, "at": at}), key=key)
    values = {"now": NOW, "kind": "k", "status": "open", "before": 3.0, "limit": 9}
    found = find(connection, Container.MONEY, values)
    assert [(each.key, each.document.id) for each in found] == [(other, "a"), (KEY, "b")]
    assert [each.document.id for each in find(connection, Container.MONEY, values | {"limit": 1})] == ["a"]


def test_an_expired_document_is_as_good_as_none(connection: sqlite3.Connection) -> None:
    etag = str(apply(connection, Create(id="one", body={"n": 1}, expires_at=NOW + 1)))
    assert body_of(connection, "one") == {"n": 1}
    later = NOW + 1
    assert body_of(connection, "one", now=later) is None
    for operation in (Replace(id="one", body={}, etag=etag), Add(id="one", amounts={"n": 1})):
        with pytest.raises(Conflict):
            apply(connection, operation, now=later)
    apply(connection, Create(id="one", body={"n": 2}), now=later)
    assert body_of(connection, "one", now=later) == {"n": 2}


def test_a_sum_keeps_its_expiry_and_gets_a_new_etag(connection: sqlite3.Connection) -> None:
    first = apply(connection, Create(id="sum", body={"n": 1, "at": 1.0}, expires_at=NOW + 5))
    second = apply(connection, Add(id="sum", amounts={"n": 2}))
    found = read(connection, partition_values(KEY, NOW) | {"id": "sum"})
    assert found is not None
    document, expires_at = found
    assert (document.body["n"], document.etag, expires_at) == (3, str(second), NOW + 5)
    assert first != second


def test_what_is_gone_may_be_deleted_again(connection: sqlite3.Connection) -> None:
    apply(connection, Delete(id="none"))
    apply(connection, Delete(id="none", etag="7"))
    apply(connection, Create(id="one", body={}))
    with pytest.raises(Conflict):
        apply(connection, Create(id="one", body={}))
    with pytest.raises(Conflict):
        apply(connection, Delete(id="one", etag="7"))
    apply(connection, Delete(id="one"))
    assert listed(connection, "") == []


def test_only_what_has_expired_is_forgotten_and_so_many_at_a_time(connection: sqlite3.Connection) -> None:
    for number in range(3):
        apply(connection, Create(id=f"old{number}", body={}, expires_at=NOW))
    apply(connection, Create(id="young", body={}, expires_at=NOW + 0.001))
    apply(connection, Create(id="forever", body={}))
    assert [delete_expired(connection, NOW, 2) for _ in range(3)] == [2, 1, 0]
    assert listed(connection, "") == ["forever", "young"]


@pytest.mark.parametrize(
    ("query", "plan"),
    [
        (READ, "SEARCH documents USING PRIMARY KEY (container=? AND partition=? AND id=?)"),
        (LIST, "SEARCH documents USING PRIMARY KEY (container=? AND partition=? AND id>? AND id<?)"),
        (FIND, "SEARCH documents USING INDEX documents_by_age (container=? AND kind=? AND status=? AND at<?)"),
    ],
)
def test_every_query_uses_an_index(connection: sqlite3.Connection, query: str, plan: str) -> None:
    names = ("container", "partition", "id", "now", "first", "end", "after", "limit", "kind", "status", "before")
    rows = connection.execute(f"EXPLAIN QUERY PLAN {query}", dict.fromkeys(names, "1")).fetchall()
    assert [row[3] for row in rows] == [plan]
