"""Is only an address of the same origin read after a 303, resolved as RFC 3986 says?"""

import httpx
import pytest

from clients.backends.redirects import result_address

ASKED = "https://model.example/v1/chat/completions?step=1"


def answer(location: str | None, *, status: int = 303, asked: str = ASKED) -> httpx.Response:
    headers: dict[bytes, bytes] = {} if location is None else {b"location": location.encode()}
    return httpx.Response(status, headers=headers, request=httpx.Request("POST", asked))


@pytest.mark.parametrize(
    ("location", "address"),
    [
        ("/results/1?part=2", "https://model.example/results/1?part=2"),
        ("results", "https://model.example/v1/chat/results"),
        ("../models", "https://model.example/v1/models"),
        ("?step=2", "https://model.example/v1/chat/completions?step=2"),
        ("//model.example/r", "https://model.example/r"),
        ("https://model.example/r", "https://model.example/r"),
        ("HTTPS://MODEL.example:443/r", "https://model.example/r"),
    ],
)
def test_an_address_is_resolved_against_the_request(location: str, address: str) -> None:
    found = result_address(answer(location))
    assert found is not None
    assert str(found) == address


@pytest.mark.parametrize(
    "location",
    [
        "https://other.example/r",
        "//other.example/r",
        "http://model.example/r",
        "https://model.example:8443/r",
        "https://model.example.other.example/r",
        "https://user:key@model.example/r",
        "https://user@model.example/r",
        "file:///etc/passwd",
        "https://[",
        "https://model.example:port/r",
        "https://model.example:99999999/r",
        "https://xn--\u00e9/r",
        "",
        None,
    ],
)
def test_another_origin_or_no_address_is_not_read(location: str | None) -> None:
    assert result_address(answer(location)) is None


@pytest.mark.parametrize("status", [200, 201, 301, 302, 307, 308])
def test_another_status_names_no_result(status: int) -> None:
    assert result_address(answer("/results/1", status=status)) is None


def test_a_port_is_part_of_the_origin() -> None:
    asked = "http://127.0.0.1:8000/v1"
    assert result_address(answer("http://127.0.0.1:8000/r", asked=asked)) is not None
    assert result_address(answer("http://127.0.0.1/r", asked=asked)) is None
