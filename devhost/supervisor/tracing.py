"""How is one trace carried through a request, its orchestration and its activities?"""

import re
from collections.abc import Callable
from secrets import token_hex

from devhost.supervisor.messages import TraceContext

TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def is_traceparent(text: str | None) -> bool:
    found = TRACEPARENT.fullmatch(text or "")
    return found is not None and set(found[1]) != {"0"} and set(found[2]) != {"0"}


def next_span(parent: str | None, state: str = "", *, random_hex: Callable[[int], str] = token_hex) -> TraceContext:
    """A new span in the trace of `parent`, or in a new trace if there is no parent."""
    found = TRACEPARENT.fullmatch(parent or "")
    if found is None or not is_traceparent(parent):
        return TraceContext(parent=f"00-{random_hex(16)}-{random_hex(8)}-01")
    return TraceContext(parent=f"00-{found[1]}-{random_hex(8)}-{found[3]}", state=state)
