"""Can a person use the console in a real browser, and has it no barrier?"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from benches.economics import __main__ as economics
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.demo.costs import environment_in
from standins.issuer.entra_tokens import guid_of
from tests.benches.economics.samples import CHOICE, settings_file
from tests.conformance.installing import javascript_kits
from tests.conformance.judging import judge
from tests.conformance.programs import Program, found_by

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(900)]

TITLE = "the console in a browser"
BILL = "one bill in a browser"
VIEWS = "the console's views, empty and with a month of money"
KEYBOARD = "the console by keyboard alone"
PROGRAM = Program(file="console.mjs")
VIEWS_PROGRAM = Program(file="console_views.mjs")
KEYBOARD_PROGRAM = Program(file="console_keyboard.mjs")
BILL_PROGRAM = Program(file="console_bill.mjs")
STAYS_S = 120
"""A busy machine may need as long to start another worker; a GPU that is up then needs no second start."""

QUIET = {"GANGLION_TELEMETRY": "none", "GANGLION_SILENCE_S": "600"}


def quiet_cluster(data: Path) -> LocalCluster:
    """Return a cluster that a browser may look at for minutes; the programs in Node need their packages."""
    javascript_kits()
    return LocalCluster(ClusterOptions(data=data, rate=60, cold="1", warm_models=True, environment=QUIET))


def seen_by(chromium: str, cluster: LocalCluster, **more: str) -> dict[str, str]:
    """Return the environment of a program in a browser: SCREENSHOTS names a folder for pictures of every view."""
    return {
        "CHROMIUM": chromium,
        "APP": cluster.base_url,
        "CONSOLE": f"{cluster.issuer_url}/console?port={cluster.port}",
        "SCREENSHOTS": os.environ.get("SCREENSHOTS", ""),
        **more,
    }


async def test_a_person_uses_the_console(tmp_path: Path, chromium: str) -> None:
    with quiet_cluster(tmp_path / "cluster") as cluster:
        judge(TITLE, await found_by(PROGRAM, seen_by(chromium, cluster, WORKER=str(cluster.worker_pid))), {})


async def publish_ways_to_serve(cluster: LocalCluster) -> None:
    """Publish a comparison for the tenant of Alice, as an operator does: five requests, one a minute."""
    rows = (f"2026-11-01 00:0{minute}:00,1000,100" for minute in range(5))
    trace = cluster.data / "trace.csv"
    trace.write_text("\n".join(("TIMESTAMP,ContextTokens,GeneratedTokens", *rows)), encoding="utf-8")
    tenant, settings = guid_of("tenant", "contoso"), settings_file(cluster.data)
    asked = [str(trace), *CHOICE, "--tenant", tenant, "--settings", settings, "--publish"]
    assert await asyncio.to_thread(economics.main, asked) == 0


async def test_every_view_is_seen_empty_and_then_used_by_keyboard_alone(tmp_path: Path, chromium: str) -> None:
    with quiet_cluster(tmp_path / "cluster") as cluster:
        where = seen_by(chromium, cluster, WITHOUT_ROLES=cluster.token())
        await publish_ways_to_serve(cluster)
        judge(VIEWS, await found_by(VIEWS_PROGRAM, where), {})
        judge(KEYBOARD, await found_by(KEYBOARD_PROGRAM, where), {})


def with_dear_answers(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Make the model that is always up so dear that a few answers cost as much as a GPU session."""
    prices = Path(environment["GANGLION_PRICES"])
    before, mark, after = prices.read_text(encoding="utf-8").partition("[prices.scripted]")
    prices.write_text(before + mark + after.replace('output = "0.60"', 'output = "60"', 1), encoding="utf-8")
    return environment


async def test_a_turn_is_watched_from_a_sleeping_gpu_to_its_final_bill(tmp_path: Path, chromium: str) -> None:
    """The price has ten idle seconds, and the program runs the sweeper every second. The machine stays up longer."""
    javascript_kits()
    options = ClusterOptions(
        data=tmp_path / "cluster",
        rate=60,
        cold="2",
        gpu=("--tail", STAYS_S),
        warm_models=True,
        environment={**QUIET, **with_dear_answers(environment_in(tmp_path))},
    )
    with LocalCluster(options) as cluster:
        console = f"{cluster.issuer_url}/console?port={cluster.port}"
        where = {
            "CHROMIUM": chromium,
            "APP": cluster.base_url,
            "CONSOLE": console,
            "SCREENSHOTS": os.environ.get("SCREENSHOTS", ""),
        }
        judge(BILL, await found_by(BILL_PROGRAM, where), {})
