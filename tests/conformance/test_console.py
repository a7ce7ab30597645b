"""Can a person use the console in a real browser, and has it no barrier?"""

import os
from pathlib import Path

import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from tests.conformance.installing import javascript_kits
from tests.conformance.judging import judge
from tests.conformance.programs import Program, found_by

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(900)]

TITLE = "the console in a browser"
PROGRAM = Program(file="console.mjs")


async def test_a_person_uses_the_console(tmp_path: Path, chromium: str) -> None:
    """SCREENSHOTS in the environment names a folder for pictures of every view."""
    javascript_kits()
    quiet = {"GANGLION_TELEMETRY": "none", "GANGLION_SILENCE_S": "600"}
    with LocalCluster(
        ClusterOptions(data=tmp_path / "cluster", rate=60, cold="1", warm_models=True, environment=quiet)
    ) as cluster:
        where = {
            "CHROMIUM": chromium,
            "APP": cluster.base_url,
            "CONSOLE": f"{cluster.issuer_url}/console?port={cluster.port}",
            "WORKER": str(cluster.worker_pid),
            "SCREENSHOTS": os.environ.get("SCREENSHOTS", ""),
        }
        judge(TITLE, await found_by(PROGRAM, where), {})
