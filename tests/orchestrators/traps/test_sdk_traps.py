"""Do our orchestrators keep clear of the known traps of the Durable SDK 1.x?"""

from pathlib import Path

import pytest

import orchestrators
from domain.turns.webhook_events import DELAYS_S, JITTER
from settings import read_settings
from tests.orchestrators.traps.sdk_traps import complaints
from tests.test_settings import REQUIRED_ONLY

PAYLOAD_FREE = frozenset(
    {
        "wire.CANCELLED_EVENT",
        "wire.TURN_ENDED_EVENT",
        "batch_wire.wake_event(looks)",
        "decided_event(request)",
        "place_event(route)",
    }
)
LOSES = "continue_as_new loses the events that were not read"
KNOWN = {(name, LOSES) for name in ("continuation.py", "run_batch.py", "run_lines.py")}
"""The one event of a turn only wakes it; a route after it was lost finds that the response has ended. An event of a
batch ends one wait, and no other has its name."""

LONGEST_CANCELLABLE_S = 6 * 24 * 3600
SOURCES = sorted(Path(orchestrators.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_orchestrator_of_ours_can_fall_into_a_trap(path: Path) -> None:
    found = complaints(path.read_text(encoding="utf-8"), PAYLOAD_FREE)
    assert [each for each in found if (path.name, each.partition(": ")[2]) not in KNOWN] == []


def test_no_timer_of_ours_is_too_long_to_be_cancelled() -> None:
    """A turn waits until its deadline at most, and a webhook for its longest delay."""
    assert read_settings(REQUIRED_ONLY).deadline_s < LONGEST_CANCELLABLE_S
    assert max(DELAYS_S) * (1 + JITTER) < LONGEST_CANCELLABLE_S


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("context.create_timer(datetime.now(zone))", "it has no UTC offset then"),
        ("context.create_timer(context.current_utc_datetime.astimezone(zone) + timedelta(1))", "no UTC offset"),
        ("context.continue_as_new(1)", "loses the events"),
        ("event = context.wait_for_external_event('said')", "the first is lost"),
        ("said = yield context.wait_for_external_event(wire.CANCELLED_EVENT)", "the value of an early event"),
        ("context.task_all([call_step(context, 'a', 1)])", "its retries take ids late"),
        ("context.task_any([context.call_activity_with_retry('a', r, 1), timer])", "its retries take ids late"),
        ("context.create_timer(context.current_utc_datetime + timedelta(seconds=1))", None),
        ("event = context.wait_for_external_event(wire.CANCELLED_EVENT)", None),
        ("context.task_all([context.call_activity('a', 1)])", None),
    ],
)
def test_the_lint_finds_each_trap(line: str, complaint: str | None) -> None:
    found = complaints(f"def play(context):\n    {line}\n", PAYLOAD_FREE)
    assert (complaint is None and found == []) or (complaint is not None and complaint in "\n".join(found))
