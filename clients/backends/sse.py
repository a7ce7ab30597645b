"""Which frames does a stream of server-sent events hold?"""

import re

LINE_END = re.compile(rb"[\r\n]")
FIELD = b"data:"
FRAME_LIMIT = 1_000_000


class SseDecoder:
    """Cuts a body, as it comes, at CR and LF alone: what else Unicode takes for the end of a line, a model may write.

    Every line of data is one frame, as servers of Chat Completions send them.
    """

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the frames that this chunk completes; raises ValueError for a line of more than a million bytes."""
        *lines, self.rest = LINE_END.split(self.rest + chunk)
        if len(self.rest) > FRAME_LIMIT:
            raise ValueError(f"a line has more than {FRAME_LIMIT} bytes")
        return [line[len(FIELD) :].strip() for line in lines if line.startswith(FIELD)]

    def end(self) -> list[bytes]:
        """Return the frame that the end of the body left without its line's end."""
        return self.feed(b"\n")
