"""How much work is one piece of an answer on each wire, from the bytes of its frame to its text?

`python -m benches.streams.wires`: microseconds of CPU, and the ratio to server-sent events of Chat Completions.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence

from benches.tables import print_table
from clients.backends.chat_stream import ChatStreamParser
from clients.backends.converse.frames import ConverseDecoder
from clients.backends.converse.stream import ConverseStreamParser
from clients.backends.formats.decoders import Decoder
from clients.backends.formats.sse import SseDecoder
from clients.backends.responses.stream import ResponsesStreamParser
from clients.backends.wires import AnswerParser
from tests.clients.backends.formats.frames import event

PIECES, ROUNDS = 4000, 7
LIMIT = 1.3


def chat_chunks() -> list[bytes]:
    head = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 1, "model": "model"}
    bodies = [
        {**head, "choices": [{"index": 0, "delta": {"content": f" word{number}"}, "finish_reason": None}]}
        for number in range(PIECES)
    ]
    return [b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n" for body in bodies]


def converse_chunks() -> list[bytes]:
    return [
        event("contentBlockDelta", contentBlockIndex=0, delta={"text": f" word{number}"}) for number in range(PIECES)
    ]


def microseconds(chunks: Sequence[bytes], decoder: Decoder, parser: AnswerParser) -> float:
    start = time.process_time()
    count = sum(len(parser.read(frame)) for chunk in chunks for frame in decoder.feed(chunk))
    taken = time.process_time() - start
    assert count == PIECES
    return taken / PIECES * 1_000_000


def responses_chunks() -> list[bytes]:
    kind = "response.output_text.delta"
    head: dict[str, object] = {"type": kind, "item_id": "msg_0", "output_index": 0, "content_index": 0, "logprobs": []}
    bodies = [json.dumps({**head, "delta": f" word{number}"}) for number in range(PIECES)]
    return [f"event: {kind}\ndata: {body}\n\n".encode() for body in bodies]


WIRES: Mapping[str, tuple[Callable[[], list[bytes]], Callable[[], Decoder], Callable[[], AnswerParser]]] = {
    "Chat Completions": (chat_chunks, SseDecoder, lambda: ChatStreamParser({})),
    "Converse": (converse_chunks, ConverseDecoder, ConverseStreamParser),
    "Responses": (responses_chunks, SseDecoder, ResponsesStreamParser),
}


def lowest(name: str) -> float:
    """Return the microseconds of a piece on a wire, the lowest of all rounds."""
    chunks, decoder, parser = WIRES[name]
    body = chunks()
    return min(microseconds(body, decoder(), parser()) for _ in range(ROUNDS))


def main() -> None:
    times = {name: lowest(name) for name in WIRES}
    plain = times["Chat Completions"]
    rows = [(name, f"{time_us:.1f}", f"{time_us / plain:.2f}", f"{LIMIT}") for name, time_us in times.items()]
    print_table(("wire", "µs a piece", "ratio", "limit"), rows)


if __name__ == "__main__":
    main()
