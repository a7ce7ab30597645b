"""What is recorded of one call of a tool?"""

from collections.abc import Generator
from contextlib import contextmanager

from msgspec import Struct
from opentelemetry.trace import Span

from domain.content.items import Item
from domain.tools.approvals import Decision
from domain.tools.call_record import CallOutcome
from telemetry import names
from telemetry.buffers import Attributes
from telemetry.metrics import counter, histogram
from telemetry.spans import fail, span

UNKNOWN = "unknown"
EXTENSION = "extension"
"""What the conventions call a tool by which the agent itself calls an API."""

TOOL_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)

tool_duration = histogram(names.TOOL_DURATION, unit="s", description="Calls of tools, by outcome", buckets=TOOL_S)

decisions = counter(names.TOOL_DECISIONS, unit="{decision}", description="Approvals and denials of calls of tools")


def count_decision(server: str, tool: str, decision: Decision) -> None:
    """Count what became of a request for an approval; one that nobody has answered in time has expired."""
    verdict = "approved" if decision.approves else "denied" if decision.by else "expired"
    decisions(1, {names.TOOL_SERVER: server, names.TOOL_NAME: tool, names.TOOL_DECISION: verdict})


class ToolSpan(Struct, frozen=True, kw_only=True):
    """One call of a tool."""

    opened: Span
    attributes: Attributes

    def record(self, outcome: CallOutcome, *, seconds: float) -> None:
        """Say how the call ended."""
        ended = {names.TOOL_OUTCOME: UNKNOWN if outcome.unknown else outcome.status.value}
        self.opened.set_attributes(ended)
        kind = error_type(outcome)
        if kind:
            fail(self.opened, kind, kind)
            ended[names.ERROR_TYPE] = kind
        tool_duration(seconds, {**self.attributes, **ended})


def error_type(outcome: CallOutcome) -> str:
    """Return the kind of a call's error, an HTTP status where the server answered with one; empty without an error."""
    if outcome.unknown or not outcome.error:
        return UNKNOWN if outcome.unknown else ""
    return str(outcome.error.get("code", outcome.error["type"]))


@contextmanager
def tool_span(item: Item) -> Generator[ToolSpan]:
    """Open the span `execute_tool {name}` of a call: with its ids, and never with its arguments or its result."""
    attributes = {names.OPERATION: names.EXECUTE_TOOL, names.TOOL_NAME: item.name, names.TOOL_SERVER: item.server}
    own = {names.TOOL_TYPE: EXTENSION, names.TOOL_CALL_ID: item.id}
    with span(f"{names.EXECUTE_TOOL} {item.name}", {**attributes, **own}) as opened:
        yield ToolSpan(opened=opened, attributes=attributes)
