"""Which page of a list does a caller request, and which one does it get?"""

from typing import Any
from urllib.parse import urlencode

import pytest
from azurefunctions.extensions.http.fastapi import Request

from api.http.pagination import (
    FILES_LIMIT,
    PageRequest,
    continued_list,
    list_object,
    page_of,
    read_newest_first,
    read_page_request,
)
from domain.errors import Invalid


def asks(**query: str) -> Request:
    return Request({"type": "http", "method": "GET", "headers": [], "query_string": urlencode(query).encode()})


def test_without_parameters_the_newest_twenty_are_requested() -> None:
    assert read_page_request(asks()) == PageRequest(limit=20, after="", order="desc")
    assert read_page_request(asks(), default_order="asc").order == "asc"


def test_the_parameters_are_read() -> None:
    assert read_page_request(asks(limit="100", after="x", order="asc")) == PageRequest(
        limit=100, after="x", order="asc"
    )
    assert read_page_request(asks(limit="10000"), most=FILES_LIMIT).limit == FILES_LIMIT


@pytest.mark.parametrize("limit", ["0", "101", "-1", "", "1.0", "1e1", "٣", "²", "0000001", "9" * 5000])
def test_a_limit_that_is_no_number_from_1_to_100_is_refused(limit: str) -> None:
    with pytest.raises(Invalid, match=r"expected 1 to 100\.$") as caught:
        read_page_request(asks(limit=limit))
    assert (caught.value.field, caught.value.code) == ("limit", "invalid_value")


@pytest.mark.parametrize("order", ["DESC", "newest", ""])
def test_another_order_is_refused(order: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_page_request(asks(order=order))
    assert caught.value.field == "order"


def test_a_list_with_one_order_refuses_the_other_one() -> None:
    assert read_newest_first(asks(order="desc", limit="3")).limit == 3
    with pytest.raises(Invalid, match="newest first") as caught:
        read_newest_first(asks(order="asc"))
    assert caught.value.field == "order"


@pytest.mark.parametrize(
    ("page", "found", "more"),
    [
        (PageRequest(limit=2), ["d", "c"], True),
        (PageRequest(limit=4), ["d", "c", "b", "a"], False),
        (PageRequest(limit=2, order="asc"), ["a", "b"], True),
        (PageRequest(limit=2, after="c"), ["b", "a"], False),
        (PageRequest(limit=1, after="b", order="asc"), ["c"], True),
        (PageRequest(after="a"), [], False),
    ],
)
def test_a_page_follows_its_cursor(page: PageRequest, found: list[str], more: bool) -> None:  # noqa: FBT001 - a table
    assert page_of("abcd", page, str) == (found, more)


def test_an_unknown_cursor_is_named() -> None:
    with pytest.raises(Invalid, match="'x'") as caught:
        page_of("abcd", PageRequest(after="x"), str)
    assert (caught.value.field, caught.value.code) == ("after", "item_not_found")


def test_a_list_names_its_edges_also_where_it_is_empty() -> None:
    two: list[dict[str, Any]] = [{"id": "a"}, {"id": "b"}]
    listed = list_object(two, more=True)
    assert (listed["object"], listed["first_id"], listed["last_id"], listed["has_more"]) == ("list", "a", "b", True)
    empty = list_object([], more=False)
    assert (empty["data"], empty["first_id"], empty["last_id"]) == ([], "", "")


def test_a_list_goes_on_after_an_entry_that_it_left_out() -> None:
    two: list[dict[str, Any]] = [{"id": "a"}, {"id": "b"}]
    assert continued_list(two, more=True, last="c")["last_id"] == "c"
    assert continued_list(two, more=False, last="c")["last_id"] == "b"
