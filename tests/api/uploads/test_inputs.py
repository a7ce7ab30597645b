"""Which parts of a body name files, at which paths, and how many may there be?"""

from typing import Any

import pytest

from api.uploads.inputs import FILES_LIMIT, check_count, named_files, too_much
from domain.errors import Invalid

type Json = dict[str, Any]


def part(name: str, **more: Any) -> Json:
    return {"type": "input_file", "file_id": name, **more}


def paths(body: Json) -> list[tuple[str, str]]:
    return [(path, found["file_id"]) for path, found in named_files(body)]


def test_files_are_found_in_contents_and_outputs_of_each_api() -> None:
    text = {"type": "input_text", "text": "file_id"}
    responses = {"input": [{"content": [text, part("a")]}, {"output": [part("b")]}]}
    assert paths(responses) == [("input[0].content[1].file_id", "a"), ("input[1].output[0].file_id", "b")]
    assert paths({"items": [{"content": [part("c")]}]}) == [("items[0].content[0].file_id", "c")]
    chat = {"messages": [{"content": "x"}, {"content": [{"type": "file", "file": {"file_id": "d"}}]}]}
    assert paths(chat) == [("messages[1].content[0].file.file_id", "d")]


@pytest.mark.parametrize(
    "content",
    [
        "file_id",
        part("a"),
        [part("a", file_data="data:,x")],
        [part("a") | {"type": "input_image"}],
        [part("a") | {"file_id": 5}],
        [{"type": "file", "file_id": "a"}],
        [{"type": "file", "file": "a"}],
        [[part("a")]],
        [None],
    ],
)
def test_what_names_no_file_or_has_its_content_is_passed_over(content: Any) -> None:
    assert paths({"input": [{"content": content}]}) == []


@pytest.mark.parametrize("value", [None, "text", {"content": [part("a")]}, [[]], 5])
def test_another_shape_is_left_to_the_validation(value: Any) -> None:
    assert paths({"input": value, "messages": value}) == []


def test_the_last_of_too_many_files_is_named() -> None:
    found = list(named_files({"input": [{"content": [part("a")] * (FILES_LIMIT + 1)}]}))
    check_count(found[:-1])
    with pytest.raises(Invalid) as caught:
        check_count(found)
    assert caught.value.field == f"input[0].content[{FILES_LIMIT}].file_id"


def test_too_much_content_is_named_with_the_limit() -> None:
    error = too_much("input[0].content[1].file_id", 1_000_000)
    assert (error.field, error.code) == ("input[0].content[1].file_id", "request_too_large")
    assert "more than 1,000,000 bytes together" in str(error)
