"""Which bytes does the header `Range` ask for (RFC 9110, section 14)?"""

import pytest

from api.uploads.byte_range import requested_range


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-499", (0, 500)),
        (" bytes=9500- ", (9500, 10_000)),
        ("bytes=-500", (9500, 10_000)),
        ("bytes=-20000", (0, 10_000)),
        ("bytes=0-0", (0, 1)),
        ("bytes=9999-20000", (9999, 10_000)),
        ("bytes=10000-", (10_000, 10_000)),
        ("bytes=10000-20000", (10_000, 10_000)),
        ("bytes=-0", (10_000, 10_000)),
    ],
)
def test_one_range_is_read(header: str, found: tuple[int, int]) -> None:
    assert requested_range(header, 10_000) == found


@pytest.mark.parametrize(
    "header", [None, "", "bytes=-", "bytes=5-4", "bytes=0-1,5-6", "lines=0-1", "bytes=a-b", "bytes 0-1", "bytes=1.0-2"]
)
def test_another_header_asks_for_the_whole(header: str | None) -> None:
    assert requested_range(header, 10_000) is None


def test_an_empty_content_has_no_range() -> None:
    assert requested_range("bytes=0-", 0) == (0, 0)
    assert requested_range("bytes=-5", 0) == (0, 0)


def test_a_number_of_more_digits_than_a_file_can_have_bytes_is_passed_over() -> None:
    assert requested_range(f"bytes={'9' * 19}-", 10) is None
