"""Is the model's own stream read, and passed on as it is?"""

import json
from collections.abc import AsyncIterator

from standins.systems.chat import ChatDoor, choice_of, chunks_of

LINES = [b": comment\n", b'data: {"choices": [{"index": 0}]}\n', b"\n", b'data:{"choices": []}\n', b"data: [DONE]\n"]


async def lines() -> AsyncIterator[bytes]:
    for line in LINES:
        yield line


async def test_comments_and_the_last_line_are_no_chunks() -> None:
    chunks = [chunk async for chunk in chunks_of(lines())]
    assert [choice_of(chunk) for chunk in chunks] == [{"index": 0}, {}]


async def test_chat_completions_are_passed_on_as_they_are() -> None:
    door, chat = ChatDoor(), dict[str, object](model="m", messages=[])
    whole = door.operation("chat/completions", json.dumps(chat).encode())
    streamed = door.operation("chat/completions", json.dumps({**chat, "stream": True}).encode())
    assert whole is not None
    assert streamed is not None
    assert (whole.chat, whole.streams, streamed.streams) == (chat, False, True)
    assert [part async for part in door.encoded(streamed, lines())] == LINES
    kinds = [door.headers(each)["content-type"] for each in (whole, streamed)]
    assert kinds == ["application/json", "text/event-stream"]
    assert door.error(whole, 503, b"no").body == b"no"
    assert door.operation("completions", b"{}") is None
