"""Which frames does a stream of server-sent events contain?"""

import re

LINE_END = re.compile(rb"[\r\n]")
FIELD = b"data:"
FRAME_LIMIT = 1_000_000


class SseDecoder:
    """Splits a body that arrives in chunks into its frames.

    Lines end at CR and LF only, because a model may write the other line separators of Unicode. Each `data:` line is
    one frame, as Chat Completions servers send it.
    """

    def __init__(self) -> None:
        self.incomplete_line = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the frames that this chunk completes. Raises ValueError for a line longer than FRAME_LIMIT."""
        *lines, self.incomplete_line = LINE_END.split(self.incomplete_line + chunk)
        if len(self.incomplete_line) > FRAME_LIMIT:
            raise ValueError(f"a line of the event stream is longer than {FRAME_LIMIT} bytes")
        return [line[len(FIELD) :].strip() for line in lines if line.startswith(FIELD)]

    def end(self) -> list[bytes]:
        """Return the last frame if the body ended without a line end after it."""
        return self.feed(b"\n")
