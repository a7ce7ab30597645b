"""When does the host run timer functions?"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.devhost.hosts import Durable, RunningHost, running, until


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = tmp_path_factory.mktemp("timers")
    with running("timers", folder, NOTES=str(folder)) as host:
        yield host


@pytest.fixture(scope="module")
def client(host: RunningHost) -> Iterator[httpx.Client]:
    with host.client() as client:
        yield client


def notes(folder: Path, name: str) -> list[dict[str, Any]]:
    path = folder / name
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def test_a_schedule_runs_again_and_again_and_may_stand_in_the_settings(host: RunningHost) -> None:
    until(lambda: len(notes(host.folder, "each_second")) >= 2, "two runs")
    assert [one["past_due"] for one in notes(host.folder, "each_second")[:2]] == [False, False]


def test_the_settings_file_is_the_workers_environment_and_the_real_one_wins(host: RunningHost) -> None:
    found = until(lambda: notes(host.folder, "each_second"), "a run")
    assert found[0]["setting"] == "file"
    assert host.environment["NOTES"] == str(host.folder)


def test_run_on_startup_runs_once_at_the_start(host: RunningHost) -> None:
    until(lambda: notes(host.folder, "at_start"), "the run at the start")
    assert len(notes(host.folder, "at_start")) == 1


def test_a_timer_function_is_run_on_demand(client: httpx.Client, host: RunningHost) -> None:
    before = len(notes(host.folder, "yearly"))
    assert client.post("/admin/functions/yearly?wait=true", json={}).status_code == 200
    assert len(notes(host.folder, "yearly")) == before + 1
    assert client.post("/admin/functions/Yearly", json={"input": ""}).status_code == 202
    until(lambda: len(notes(host.folder, "yearly")) == before + 2, "the second run")


def test_a_failed_timer_function_is_logged(client: httpx.Client, host: RunningHost) -> None:
    answer = client.post("/admin/functions/broken?wait=true")
    assert (answer.status_code, answer.text) == (500, "ValueError: out of order")
    assert "timer broken failed: ValueError: out of order" in host.log


def test_only_timer_functions_are_run_on_demand(client: httpx.Client) -> None:
    assert client.post("/admin/functions/nap").status_code == 404
    assert client.post("/admin/functions/nobody").status_code == 404


def test_a_timer_function_starts_orchestrations(client: httpx.Client) -> None:
    assert client.post("/admin/functions/starter?wait=true").status_code == 200
    assert Durable(http=client).wait("started-by-timer")["output"] == "napped"


def test_warm_up_runs_once_at_the_start_and_other_triggers_are_named(host: RunningHost) -> None:
    until(lambda: "warm-up z_broken_warm_up failed: ValueError: too cold" in host.log, "both have run")
    assert "function from_bus has a binding that is not supported: serviceBusTrigger" in host.log
    assert "warmupTrigger" not in [line.split()[-1] for line in host.log.splitlines() if "not supported" in line]
    assert notes(host.folder, "warm") == [{"warm": True}]


def test_a_function_with_a_missing_setting_is_logged_and_left_out(host: RunningHost, client: httpx.Client) -> None:
    assert "the function 'homeless' is in error: '%NOWHERE%' does not resolve to a value" in host.log
    assert "homeless" not in [one["name"] for one in client.get("/admin/functions").json()]


def test_settings_are_put_into_every_text_of_a_binding(client: httpx.Client) -> None:
    assert client.get("/api/v7/kept%25").text == "here"


def restart_past_due(host: RunningHost, function: str) -> None:
    """The host again, as if the function's next run had come while it was down."""
    with contextlib.closing(sqlite3.connect(host.folder / "hub.db")) as database:
        query = "SELECT next FROM schedules WHERE function = ?"
        until(lambda: database.execute(query, (function,)).fetchone(), "the schedule is kept")
        host.kill()
        database.execute("UPDATE schedules SET next = 1 WHERE function = ?", (function,))
        database.commit()
    host.start()


def test_a_missed_run_is_made_up_once(tmp_path: Path) -> None:
    with running("timers", tmp_path, NOTES=str(tmp_path)) as host:
        restart_past_due(host, "yearly")
        until(lambda: notes(tmp_path, "yearly"), "the missed run")
        assert [one["past_due"] for one in notes(tmp_path, "yearly")] == [True]


def test_a_run_is_repeated_when_its_worker_dies(tmp_path: Path) -> None:
    with running("timers", tmp_path, NOTES=str(tmp_path)) as host:
        restart_past_due(host, "slow")
        until(lambda: notes(tmp_path, "slow"), "the run")
        host.wait_new_worker(host.kill_worker())
        until(lambda: len(notes(tmp_path, "slow")) == 2, "the run again")
        assert len({one["pid"] for one in notes(tmp_path, "slow")}) == 2
