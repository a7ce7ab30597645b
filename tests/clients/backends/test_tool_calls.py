"""Do all function calls of an answer arrive, however the backend numbers and names their parts?"""

from typing import Any

import pytest

from domain.content.tools import FunctionCall
from tests.clients.backends.model_server import DONE, calls_frame, end_of, frame, line, parsed


def part(call_id: str | None = None, name: str | None = None, arguments: str | None = None, **more: Any) -> Any:
    """Return one entry of `tool_calls`; `index` is among `more`, where the server sends one."""
    return {**more, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


FIRST = FunctionCall(name="one", arguments='{"x":1}', call_id="a")
SECOND = FunctionCall(name="two", arguments='{"y":2}', call_id="b")

TWO_CALLS: dict[str, list[tuple[Any, ...]]] = {
    "each with its own index": [
        (part("a", "one", '{"x":1}', index=0),),
        (part("b", "two", '{"y":2}', index=1),),
    ],
    "each whole with index 0": [
        (part("a", "one", '{"x":1}', index=0),),
        (part("b", "two", '{"y":2}', index=0),),
    ],
    "each in fragments with index 0": [
        (part("a", "one", "", index=0),),
        (part(None, None, '{"x"', index=0),),
        (part(None, None, ":1}", index=0),),
        (part("b", "two", "", index=0),),
        (part(None, None, '{"y":', index=0),),
        (part(None, None, "2}", index=0),),
    ],
    "in one frame with index 0": [(part("a", "one", '{"x":1}', index=0), part("b", "two", '{"y":2}', index=0))],
    "in one frame without an index": [(part("a", "one", '{"x":1}'), part("b", "two", '{"y":2}'))],
    "in two frames without an index": [
        (part("a", "one", '{"x":'),),
        (part(None, None, "1}"),),
        (part("b", "two", '{"y":'),),
        (part(None, None, "2}"),),
    ],
    "with a null index": [
        (part("a", "one", '{"x":1}', index=None),),
        (part("b", "two", '{"y":2}', index=None),),
    ],
    "interleaved by id with index 0": [
        (part("a", "one", '{"x"', index=0), part("b", "two", '{"y"', index=0)),
        (part("a", None, ":1}", index=0), part("b", None, ":2}", index=0)),
    ],
    "interleaved by index": [
        (part("a", "one", '{"x"', index=0), part("b", "two", '{"y"', index=1)),
        (part(None, None, ":2}", index=1),),
        (part(None, None, ":1}", index=0),),
    ],
    "with the id and the name repeated in each part": [
        (part("a", "one", '{"x":', index=0),),
        (part("a", "one", "1}", index=0),),
        (part("b", "two", '{"y":', index=0),),
        (part("b", "two", "2}", index=0),),
    ],
    "with an id made up for each part": [
        (part("a", "one", '{"x":', index=0),),
        (part("c", None, "1}", index=0),),
        (part("b", "two", '{"y":', index=1),),
        (part("d", None, "", index=1),),
        (part("e", None, "2}", index=1),),
    ],
}


@pytest.mark.parametrize("frames", TWO_CALLS.values(), ids=TWO_CALLS)
async def test_parallel_calls_stay_separate(frames: list[tuple[Any, ...]]) -> None:
    answer = await parsed(*(calls_frame(*parts) for parts in frames), frame(reason="tool_calls"), DONE)
    assert end_of(answer).calls == (FIRST, SECOND)


@pytest.mark.parametrize("names", [("one", "two"), ("one", "one")])
@pytest.mark.parametrize("index", [{}, {"index": 0}], ids=["without an index", "with index 0"])
async def test_calls_without_ids_are_separated_by_their_names_and_whole_arguments(
    names: tuple[str, str], index: dict[str, int]
) -> None:
    frames = [
        calls_frame(part(None, names[0], '{"x":', **index)),
        calls_frame(part(None, None, "1}", **index)),
        calls_frame(part(None, names[1], '{"y":2}', **index)),
    ]
    calls = end_of(await parsed(*frames, frame(reason="tool_calls"), DONE)).calls
    assert [(call.name, call.arguments) for call in calls] == [(names[0], '{"x":1}'), (names[1], '{"y":2}')]


async def test_a_name_that_repeats_in_each_part_without_an_id_is_one_call() -> None:
    frames = [calls_frame(part(None, "one", text, index=0)) for text in ("", '{"x"', ":1}")]
    calls = end_of(await parsed(*frames, frame(reason="tool_calls"), DONE)).calls
    assert calls == (FunctionCall(name="one", arguments='{"x":1}'),)


async def test_an_id_that_two_calls_share_is_kept_for_the_first() -> None:
    frames = [calls_frame(part("a", name, '{"x":1}', index=index)) for index, name in enumerate(("one", "two"))]
    calls = end_of(await parsed(*frames, frame(reason="tool_calls"), DONE)).calls
    assert calls == (FIRST, FunctionCall(name="two", arguments='{"x":1}'))


@pytest.mark.parametrize("arguments", ["", None, "  ", "\n"])
async def test_a_call_without_arguments_has_an_empty_object(arguments: str | None) -> None:
    answer = await parsed(calls_frame(part("a", "one", arguments, index=0)), frame(reason="tool_calls"), DONE)
    assert end_of(answer).calls == (FunctionCall(name="one", arguments="{}", call_id="a"),)


async def test_a_call_without_any_arguments_field_has_an_empty_object() -> None:
    answer = await parsed(calls_frame({"id": "a", "function": {"name": "one"}}), frame(reason="stop"), DONE)
    assert end_of(answer).calls == (FunctionCall(name="one", arguments="{}", call_id="a"),)


async def test_two_calls_without_arguments_at_one_index_are_two_calls() -> None:
    frames = [calls_frame(part("a", "one", "", index=0)), calls_frame(part("b", "two", "", index=0))]
    calls = end_of(await parsed(*frames, frame(reason="tool_calls"), DONE)).calls
    assert [(call.call_id, call.name, call.arguments) for call in calls] == [("a", "one", "{}"), ("b", "two", "{}")]


async def test_an_answer_that_was_cut_keeps_only_whole_calls() -> None:
    frames = [calls_frame(part("a", "one", '{"x":1}', index=0)), calls_frame(part("b", "two", '{"y"', index=0))]
    end = end_of(await parsed(*frames, frame(reason="length"), DONE))
    assert (end.reason, end.calls) == ("length", (FIRST,))
    assert end.is_calling


async def test_an_answer_that_was_cut_in_its_only_call_tells_that_it_was_calling() -> None:
    end = end_of(await parsed(calls_frame(part("a", "one", '{"x', index=0)), frame(reason="length"), DONE))
    assert (end.reason, end.calls, end.is_calling) == ("length", (), True)


async def test_an_answer_that_was_cut_in_its_text_was_not_calling() -> None:
    end = end_of(await parsed(frame("a"), frame(reason="length"), DONE))
    assert (end.reason, end.is_calling) == ("length", False)


async def test_the_single_call_of_an_older_server_is_read() -> None:
    deltas = [{"function_call": {"name": "one", "arguments": '{"x"'}}, {"function_call": {"arguments": ":1}"}}]
    frames = [line({"choices": [{"index": 0, "delta": delta}]}) for delta in deltas]
    calls = end_of(await parsed(*frames, frame(reason="function_call"), DONE)).calls
    assert calls == (FunctionCall(name="one", arguments='{"x":1}'),)
