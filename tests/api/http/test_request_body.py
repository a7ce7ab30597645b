"""How much memory do bodies share, and which of them count as large?"""

import pytest
from azurefunctions.extensions.http.fastapi import Request

from api.http.request_body import BUSY_S, SMALL, InputMemory, declared_size, is_large
from domain.errors import Unavailable


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw})


def test_shares_grow_within_one_limit_and_are_given_back() -> None:
    memory = InputMemory(limit=100)
    with memory.share() as first:
        first.grow(60)
        with memory.share() as second:
            second.grow(40)
            first.grow(50)
            assert (memory.used, first.size, second.size) == (100, 60, 40)
            with pytest.raises(Unavailable) as caught:
                second.grow(41)
            assert (caught.value.delay_s, second.size) == (BUSY_S, 40)
        assert memory.used == 60
        first.grow(100)
    assert memory.used == 0


def test_a_share_is_given_back_where_its_request_fails() -> None:
    memory = InputMemory(limit=100)

    def fail() -> None:
        with memory.share() as share:
            share.grow(100)
            share.grow(101)

    with pytest.raises(Unavailable):
        fail()
    assert memory.used == 0


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("123", 123), ("", None), ("-1", None), ("1.5", None), ("9" * 5000, 999_999_999_999)]
)
def test_the_length_of_a_body_is_that_of_its_header(text: str, size: int | None) -> None:
    assert declared_size(request(content_length=text)) == size
    assert declared_size(request()) is None


@pytest.mark.parametrize(
    ("headers", "large"),
    [
        ({"content_length": str(SMALL)}, False),
        ({"content_length": str(SMALL + 1)}, True),
        ({"content_length": "1000000"}, True),
        ({"content_length": "1000001"}, False),
        ({"content_length": "5", "content_encoding": "gzip"}, True),
        ({}, True),
    ],
)
def test_a_body_is_large_where_it_may_be_and_will_be_read(headers: dict[str, str], large: bool) -> None:  # noqa: FBT001
    assert is_large(request(**headers), limit=1_000_000) is large
