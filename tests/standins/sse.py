"""Which JSON bodies does an SSE stream carry?"""

import json
from typing import Any


def bodies_of(stream: str) -> list[dict[str, Any]]:
    """Reads the frames of a whole stream, which must end with [DONE]."""
    frames = stream.strip().split("\n\n")
    assert frames[-1] == "data: [DONE]"
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-1]]


def text_of(bodies: list[dict[str, Any]]) -> str:
    return "".join(body["choices"][0]["delta"].get("content") or "" for body in bodies if body["choices"])
