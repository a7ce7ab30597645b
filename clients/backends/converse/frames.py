"""Which frames does an answer of Converse contain, streamed or whole?

A frame is JSON: `{"<event type>": <payload>}`, or `{"exception": {"type": …}}`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from clients.backends.formats.decoders import WholeJsonDecoder
from clients.backends.formats.event_stream import EventStream, Message


class ConverseDecoder:
    """Splits a streamed body into its frames."""

    def __init__(self) -> None:
        self.stream = EventStream()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the frames that this chunk completes. Raises ValueError for a damaged or oversized one."""
        return [frame_of(message) for message in self.stream.feed(chunk)]

    def end(self) -> list[bytes]:
        """Return nothing: a frame that is cut off has no meaning."""
        return []


class WholeConverseDecoder(WholeJsonDecoder):
    """Reads a body that is one answer, and returns the frames that a stream of it would have."""

    def end(self) -> list[bytes]:
        """Return all frames. Raises ValueError for a body that is no answer."""
        return [frame for body in super().end() for frame in frames_of(body)]


def frame_of(message: Message) -> bytes:
    if message.kind.error:
        return json.dumps({"exception": {"type": message.kind.error}}).encode()
    return b'{"%s":%s}' % (message.kind.event.encode(), message.payload or b"{}")


def frames_of(body: bytes) -> Iterator[bytes]:
    try:
        answer: Mapping[str, Any] = json.loads(body)
        for index, block in enumerate(answer["output"]["message"]["content"]):
            yield from block_frames(index, block)
        yield frame("messageStop", stopReason=answer["stopReason"])
        if usage := answer.get("usage"):
            yield frame("metadata", usage=usage)
    except (TypeError, AttributeError, LookupError) as error:
        raise ValueError("the body is no answer of Converse") from error


def block_frames(index: int, block: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the frames of a text, a call of a function or a reasoning; of any other block, none."""
    if call := block.get("toolUse"):
        start = {"toolUseId": call["toolUseId"], "name": call["name"]}
        yield frame("contentBlockStart", contentBlockIndex=index, start={"toolUse": start})
        yield delta_frame(index, toolUse={"input": json.dumps(call["input"])})
    elif reasoning := block.get("reasoningContent"):
        text: Mapping[str, Any] = reasoning.get("reasoningText") or {}
        yield delta_frame(index, reasoningContent={"text": text.get("text")})
    elif "text" in block:
        yield delta_frame(index, text=block["text"])


def delta_frame(index: int, **delta: Any) -> bytes:
    return frame("contentBlockDelta", contentBlockIndex=index, delta=delta)


def frame(kind: str, **payload: Any) -> bytes:
    return json.dumps({kind: payload}).encode()
