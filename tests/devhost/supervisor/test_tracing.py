"""When does a trace continue, and when does a new one start?"""

import pytest

from devhost.supervisor.tracing import next_span

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def fixed(count: int) -> str:
    return "ab" * count


def test_a_trace_continues_with_a_new_span() -> None:
    trace = next_span(PARENT, "vendor=1", random_hex=fixed)
    assert trace.parent == "00-0af7651916cd43dd8448eb211c80319c-abababababababab-00"
    assert trace.state == "vendor=1"


@pytest.mark.parametrize(
    "parent", [None, "", "nonsense", PARENT.upper(), PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32)]
)
def test_an_invalid_traceparent_starts_a_new_trace(parent: str | None) -> None:
    trace = next_span(parent, "vendor=1", random_hex=fixed)
    assert trace.parent == f"00-{'ab' * 16}-{'ab' * 8}-01"
    assert trace.state == ""
