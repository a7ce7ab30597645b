"""Which log probabilities does a stream of Chat Completions carry, as llama.cpp and vLLM send it?"""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from clients.backends.chat_stream import ChatStreamParser
from clients.backends.formats.think_tags import SplitStream, ThinkTagSplitter
from clients.backends.port import AnswerEnd, Channel, TextPiece


def token(text: str, octets: bytes | None = None) -> dict[str, Any]:
    return {"token": text, "logprob": -1, "bytes": list(octets or text.encode()), "top_logprobs": []}


def frame(delta: dict[str, Any], *tokens: dict[str, Any], finish: str | None = None) -> bytes:
    logprobs = {"content": list(tokens)} if tokens else None
    return json.dumps(
        {"choices": [{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}]}
    ).encode()


def read(*frames: bytes) -> list[tuple[str, str, Channel]]:
    parser = ChatStreamParser({})
    pieces = [piece for each in frames for piece in parser.read(each)]
    return [(piece.text, tokens_of(piece), piece.channel) for piece in pieces]


def tokens_of(piece: TextPiece) -> str:
    return "|".join(token.chosen.token for token in piece.logprobs)


HALVES = token("\ufffd", b"\xc3"), token("\ufffd", b"\xa9")

FRAMES: list[tuple[str, Sequence[bytes], list[tuple[str, str, Channel]]]] = [
    (
        "one token a frame",
        [frame({"role": "assistant", "content": ""}), frame({"content": "a"}, token("a")), frame({}, finish="stop")],
        [("a", "a", Channel.ANSWER)],
    ),
    (
        "several tokens a frame become pieces of their own",
        [frame({"content": "a bc"}, token("a"), token(" b"), token("c"))],
        [("a", "a", Channel.ANSWER), (" b", " b", Channel.ANSWER), ("c", "c", Channel.ANSWER)],
    ),
    (
        "half a character without text waits for the other half (vLLM)",
        [frame({"content": ""}, HALVES[0]), frame({"content": "\u00e9"}, HALVES[1])],
        [("\u00e9", "\ufffd|\ufffd", Channel.ANSWER)],
    ),
    (
        "only the last token of a held text is named (llama.cpp)",
        [frame({"content": "two words"}, token(" words"))],
        [("two words", " words", Channel.ANSWER)],
    ),
    (
        "the tokens of reasoning are not those of the answer",
        [frame({"reasoning": "hm"}, token("hm")), frame({"content": "a"}, token("a"))],
        [("hm", "", Channel.REASONING), ("a", "a", Channel.ANSWER)],
    ),
    (
        "reasoning and answer in one frame",
        [frame({"reasoning_content": "hm", "content": "a"}, token("hm"), token("a"))],
        [("hm", "", Channel.REASONING), ("a", "a", Channel.ANSWER)],
    ),
    (
        "the tokens of a call belong to no text",
        [
            frame({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}, token("{}")),
            frame({"content": "a"}, token("a")),
        ],
        [("a", "a", Channel.ANSWER)],
    ),
    ("a malformed list is none", [frame({"content": "a"}, {"token": "a"})], [("a", "", Channel.ANSWER)]),
]


@pytest.mark.parametrize(("frames", "expected"), [row[1:] for row in FRAMES], ids=[row[0] for row in FRAMES])
def test_each_text_of_the_answer_has_its_tokens(
    frames: Sequence[bytes], expected: list[tuple[str, str, Channel]]
) -> None:
    assert read(*frames) == expected


def test_an_answer_that_is_one_body_has_a_piece_for_each_token() -> None:
    choice = {
        "message": {"content": "a b"},
        "logprobs": {"content": [token("a"), token(" b")]},
        "finish_reason": "stop",
    }
    assert read(json.dumps({"choices": [choice]}).encode()) == [
        ("a", "a", Channel.ANSWER),
        (" b", " b", Channel.ANSWER),
    ]


async def split(*texts: str, is_open: bool = False) -> list[tuple[str, str, Channel]]:
    parser = ChatStreamParser({})

    async def pieces() -> AsyncIterator[TextPiece | AnswerEnd]:
        for text in texts:
            for piece in parser.read(frame({"content": text}, token(text))):
                yield piece
        yield AnswerEnd(reason="stop", usage=None)

    stream = SplitStream(pieces(), ThinkTagSplitter(is_open=is_open))
    return [(each.text, tokens_of(each), each.channel) async for each in stream if isinstance(each, TextPiece)]


async def test_the_tokens_of_tagged_reasoning_are_left_out() -> None:
    assert await split("<think>", "hm", "</think>", "\n\n", "a", " b") == [
        ("hm", "", Channel.REASONING),
        ("a", "a", Channel.ANSWER),
        (" b", " b", Channel.ANSWER),
    ]
    assert await split("hm</", "think>a", is_open=True) == [
        ("hm", "", Channel.REASONING),
        ("a", "think>a", Channel.ANSWER),
    ]


async def test_a_text_that_was_held_back_because_it_might_be_a_tag_keeps_its_tokens() -> None:
    assert await split("<th", "e>", " b") == [("<the>", "<th|e>", Channel.ANSWER), (" b", " b", Channel.ANSWER)]
    assert await split("<th") == [("<th", "<th", Channel.ANSWER)]
