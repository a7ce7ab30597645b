"""Is an argument only ever a value: one segment of a path, one parameter, one member of a body?"""

import pytest

from clients.sources.egress import HttpAnswer
from clients.tools.credentials import key_header
from clients.tools.http_tool import body_of, path_of, query_of, read_answer
from clients.tools.port import CallFailure, ToolError
from tests.fakes.tools import shop

TOOLS = shop().known["shop"].tools


@pytest.mark.parametrize(
    ("value", "path"),
    [("A-1", "/v1/orders/A-1"), ("a/../b?c#d", "/v1/orders/a%2F..%2Fb%3Fc%23d"), (7, "/v1/orders/7")],
)
def test_an_argument_is_one_segment_of_the_path(value: object, path: str) -> None:
    assert path_of(TOOLS["find_order"], {"number": value}) == path


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_segment_that_leads_elsewhere_is_not_sent(value: str) -> None:
    with pytest.raises(ToolError) as raised:
        path_of(TOOLS["find_order"], {"number": value})
    assert raised.value.failure is CallFailure.NOT_SENT


def test_a_key_goes_where_the_file_says() -> None:
    refund = TOOLS["refund_order"]
    assert key_header(refund, "mcp_1") == {"Idempotency-Key": "mcp_1"}
    assert body_of(refund, {"number": "A-1"}, "mcp_1") == {"number": "A-1"}
    assert list(query_of(TOOLS["find_order"], {"tags": ["a", True]}, "mcp_1")) == [("tags", "a"), ("tags", "true")]


def test_an_answer_that_is_no_json_is_taken_as_text_and_an_error_keeps_its_status() -> None:
    tool = TOOLS["find_order"]
    assert read_answer(tool, HttpAnswer(status=200, body=b"plain")).text == "plain"
    assert read_answer(tool, HttpAnswer(status=200, body=b'{"a": [1, 2]}')).text == '{"a":[1,2]}'
    failed = read_answer(tool, HttpAnswer(status=404, body=b"x" * 9000))
    assert (failed.status, failed.is_success, len(failed.text)) == (404, False, 2000)
