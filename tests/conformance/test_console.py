"""Can a person use the console in a real browser, and has it no barrier?"""

import os
from pathlib import Path

import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.demo.costs import environment_in
from tests.conformance.installing import javascript_kits
from tests.conformance.judging import judge
from tests.conformance.programs import Program, found_by

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(900)]

TITLE = "the console in a browser"
BILL = "one bill in a browser"
PROGRAM = Program(file="console.mjs")
BILL_PROGRAM = Program(file="console_bill.mjs")
STAYS_S = 120
"""A busy machine may need as long to start another worker; a GPU that is up then needs no second start."""

QUIET = {"GANGLION_TELEMETRY": "none", "GANGLION_SILENCE_S": "600"}


async def test_a_person_uses_the_console(tmp_path: Path, chromium: str) -> None:
    """SCREENSHOTS in the environment names a folder for pictures of every view."""
    javascript_kits()
    with LocalCluster(
        ClusterOptions(data=tmp_path / "cluster", rate=60, cold="1", warm_models=True, environment=QUIET)
    ) as cluster:
        where = {
            "CHROMIUM": chromium,
            "APP": cluster.base_url,
            "CONSOLE": f"{cluster.issuer_url}/console?port={cluster.port}",
            "WORKER": str(cluster.worker_pid),
            "SCREENSHOTS": os.environ.get("SCREENSHOTS", ""),
        }
        judge(TITLE, await found_by(PROGRAM, where), {})


async def test_a_turn_is_watched_from_a_sleeping_gpu_to_its_final_bill(tmp_path: Path, chromium: str) -> None:
    """The price has ten idle seconds, and the program runs the sweeper every second. The machine stays up longer."""
    javascript_kits()
    environment = {**QUIET, **environment_in(tmp_path)}
    options = ClusterOptions(
        data=tmp_path / "cluster", rate=60, cold="2", gpu=("--tail", STAYS_S), environment=environment
    )
    with LocalCluster(options) as cluster:
        console = f"{cluster.issuer_url}/console?port={cluster.port}"
        where = {"CHROMIUM": chromium, "APP": cluster.base_url, "CONSOLE": console}
        judge(BILL, await found_by(BILL_PROGRAM, where), {})
