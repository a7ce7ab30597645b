"""How does a test start a whole product with the scripted model under the names that the suites ask for?"""

from collections.abc import Generator
from contextlib import contextmanager
from os import environ
from pathlib import Path

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.paths import ROOT
from standins.processes.child_process import ChildProcess, ProcessSpec, python_command
from standins.processes.http_server import HOST

FLEET = Path(__file__).parent / "fleet.toml"
LENGTH = "40"
READY_S = 60.0


@contextmanager
def product_under_test(folder: Path, **environment: str) -> Generator[LocalCluster]:
    """Start a product whose model answers briefly and at once; `environment` is added to its settings."""
    command = python_command("standins.scripted", "--rate", "0", "--length", LENGTH)
    brief = ChildProcess(
        ProcessSpec(name="brief", command=command, environment=environ, log=folder / "brief.log", folder=ROOT)
    )
    try:
        port = brief.wait_for(brief.ready_port, READY_S)
        settings = {
            "GANGLION_FLEET": str(FLEET),
            "GANGLION_SCRIPTED_URL": f"http://{HOST}:{port}/v1",
            "GANGLION_TELEMETRY": "none",
            **environment,
        }
        with LocalCluster(ClusterOptions(data=folder / "cluster", rate=0, environment=settings)) as cluster:
            yield cluster
    finally:
        brief.stop()
