"""Are reasoning, answer and refusal told apart, in every form in which servers send them?"""

from typing import Any

import pytest

from clients.backends.port import Channel, TextPiece
from domain.log.events import TokenUsage
from tests.clients.backends.model_server import DONE, end_of, failure_in, line, parsed

REASONING, ANSWER, REFUSAL = Channel.REASONING, Channel.ANSWER, Channel.REFUSAL

DELTAS: list[tuple[dict[str, Any], list[tuple[Channel, str]]]] = [
    ({"content": "a"}, [(ANSWER, "a")]),
    ({"reasoning_content": "hm"}, [(REASONING, "hm")]),
    ({"reasoning": "hm", "content": None}, [(REASONING, "hm")]),
    ({"reasoning": "hm", "reasoning_content": "hm", "content": ""}, [(REASONING, "hm")]),
    ({"reasoning_content": "hm", "content": "a"}, [(REASONING, "hm"), (ANSWER, "a")]),
    ({"reasoning_content": None, "reasoning": None, "content": "a"}, [(ANSWER, "a")]),
    ({"refusal": "No."}, [(REFUSAL, "No.")]),
    ({"content": None, "refusal": "No."}, [(REFUSAL, "No.")]),
    ({"content": [{"type": "text", "text": "a"}]}, [(ANSWER, "a")]),
    ({"content": [{"type": "refusal", "refusal": "No."}]}, [(REFUSAL, "No.")]),
    (
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "a"},
            ]
        },
        [(REASONING, "hm"), (ANSWER, "a")],
    ),
    ({"content": [{"type": "reference", "reference_ids": [1]}]}, []),
]


@pytest.mark.parametrize(("delta", "texts"), DELTAS)
async def test_the_texts_of_a_delta_have_their_channel(delta: dict[str, Any], texts: list[tuple[Channel, str]]) -> None:
    frame = line({"choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]})
    pieces = await parsed(frame, DONE)
    assert pieces[:-1] == [TextPiece(text=text, channel=channel) for channel, text in texts]


@pytest.mark.parametrize("delta", [{"reasoning_content": 1}, {"refusal": ["No."]}, {"content": [1]}, {"reasoning": {}}])
async def test_a_text_of_another_type_is_a_malformed_frame(delta: dict[str, Any]) -> None:
    assert (await failure_in(line({"choices": [{"index": 0, "delta": delta}]}))).kind.value == "bad_frame"


async def test_the_halves_of_a_character_meet_in_their_own_channel() -> None:
    deltas = [{"reasoning": "\ud83d"}, {"content": "a\ud83d"}, {"reasoning": "\ude00"}, {"content": "\ude01"}]
    bodies = [b'data: {"choices":[{"delta":' + as_ascii(delta) + b"}]}\n\n" for delta in deltas]
    pieces = await parsed(*bodies, line({"choices": [{"delta": {}, "finish_reason": "stop"}]}), DONE)
    assert pieces[:-1] == [
        TextPiece(text="a"),
        TextPiece(text="\U0001f600", channel=REASONING),
        TextPiece(text="\U0001f601"),
    ]


def as_ascii(value: dict[str, str]) -> bytes:
    ((name, text),) = value.items()
    escaped = "".join(f"\\u{ord(each):04x}" for each in text)
    return f'{{"{name}":"{escaped}"}}'.encode()


HM = {"choices": [{"delta": {"reasoning_content": "hm"}}]}
STOP = {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}
COUNTS = {"prompt_tokens": 10, "completion_tokens": 5}


@pytest.mark.parametrize(
    ("usage", "output", "reasoning"),
    [
        (COUNTS | {"completion_tokens_details": {"reasoning_tokens": 3}}, 5, 3),
        (COUNTS | {"reasoning_tokens": 3}, 5, 3),
        (COUNTS | {"total_tokens": 15, "completion_tokens_details": {"reasoning_tokens": 3}}, 5, 3),
        (COUNTS | {"total_tokens": 18, "completion_tokens_details": {"reasoning_tokens": 3}}, 8, 3),
        (COUNTS | {"completion_tokens_details": {"reasoning_tokens": 9}}, 5, 5),
        (COUNTS | {"completion_tokens_details": None}, 5, 2),
        (COUNTS | {"completion_tokens": 1}, 1, 1),
    ],
    ids=["details", "beside", "included", "apart", "too many", "not counted", "fewer than pieces"],
)
async def test_the_tokens_of_reasoning_are_those_of_the_backend_or_counted(
    usage: dict[str, Any], output: int, reasoning: int
) -> None:
    pieces = await parsed(line(HM), line(HM), line(STOP), line({"choices": [], "usage": usage}), DONE)
    assert end_of(pieces).usage == TokenUsage(input_tokens=10, output_tokens=output, reasoning_tokens=reasoning)
