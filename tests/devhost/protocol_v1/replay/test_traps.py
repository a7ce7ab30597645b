"""Does the host warn of the known traps of the SDK 1.x? Each test shows the trap itself, too."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devhost.hosts import Durable, RunningHost, running, until


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    with running("traps", tmp_path_factory.mktemp("traps")) as host:
        yield host


@pytest.fixture
def durable(host: RunningHost) -> Iterator[Durable]:
    with host.client() as client:
        yield Durable(http=client)


def raise_in_order(durable: Durable, instance: str, events: list[tuple[str, str]]) -> None:
    """Suspended, an instance receives its events together when it is resumed."""
    durable.wait_status(instance, "Running")
    durable.control(instance, "suspend")
    durable.wait_status(instance, "Suspended")
    for name, value in events:
        assert durable.event(instance, name, value).status_code == 202
    durable.control(instance, "resume")


def test_of_two_early_events_of_one_name_the_first_is_lost(host: RunningHost, durable: Durable) -> None:
    instance = durable.start("listens_late")
    raise_in_order(durable, instance, [("said", "one"), ("said", "two"), ("begin", "")])
    assert durable.wait(instance)["output"] == ["two", "two"]
    until(lambda: "received several events 'said' before it waited for them" in host.log, "the host warns")


def test_an_early_event_answers_every_later_wait(host: RunningHost, durable: Durable) -> None:
    instance = durable.start("listens_late")
    raise_in_order(durable, instance, [("said", "early"), ("begin", ""), ("said", "new")])
    assert durable.wait(instance)["output"] == ["early", "early"]
    until(lambda: "waits for 'said' again after an event that came before its wait" in host.log, "the host warns")


def test_a_cancelled_timer_of_a_week_keeps_the_instance_running(host: RunningHost, durable: Durable) -> None:
    instance = durable.start("cancels_a_week")
    durable.event(instance, "go", "")
    until(lambda: f"'cancels_a_week' ({instance}) has returned but stays Running" in host.log, "the host warns")
    assert durable.status(instance)["runtimeStatus"] == "Running"


def test_unread_events_are_lost_when_an_instance_continues_as_new(host: RunningHost, durable: Durable) -> None:
    instance = durable.start("forgets")
    raise_in_order(durable, instance, [("other", "x"), ("go", "")])
    assert durable.wait(instance)["output"] == "forgot"
    until(lambda: "'forgets' continues as new with unread events 'other'" in host.log, "the host warns")


def test_a_timer_with_an_offset_fires_hours_off(host: RunningHost, durable: Durable) -> None:
    """Two hours west of UTC it fires two hours early, which is at once."""
    assert durable.run("sleeps_abroad")["output"] == "woke"
    until(lambda: "creates a timer for" in host.log, "the worker warns")
    [line] = [line for line in host.log.splitlines() if "creates a timer for" in line]
    assert "function_app.py:" in line
    assert "-02:00. SDK 1.x drops the UTC offset" in line


def test_the_right_way_is_not_warned_of(tmp_path: Path) -> None:
    with running("traps", tmp_path) as host, host.client() as client:
        durable = Durable(http=client)
        instance = durable.start("careful")
        durable.event(instance, "go", "")
        assert durable.wait(instance)["output"] == "returned"
        warned = [line for line in host.log.splitlines() if "warning: " in line]
        assert [line for line in warned if "Auth level is not applied" not in line] == []
