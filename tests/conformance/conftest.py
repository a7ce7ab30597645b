"""Which products and which browser do the checks share?"""

import subprocess
from collections.abc import Iterator

import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.paths import ROOT
from tests.conformance.page import write_section


@pytest.fixture
def chromium(request: pytest.FixtureRequest) -> str:
    """Return where Chromium is; where it can't be had, the page says so and the test is skipped."""
    title = str(getattr(request.module, "TITLE", request.node.name))  # type: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    script = ROOT / "scripts" / "chromium.sh"
    found = subprocess.run([script], capture_output=True, text=True, check=False, cwd=ROOT, timeout=600)  # noqa: S603 - a script of ours
    if found.returncode:
        write_section(f"## {title}\n\nNot asked in this run: {found.stderr.strip()}\n")
        pytest.skip(found.stderr.strip())
    return found.stdout.strip()


@pytest.fixture(scope="module")
def scripted_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """A product of the module's own, whose model says at once what it is told to."""
    options = ClusterOptions(
        data=tmp_path_factory.mktemp("cluster"), model="scripted", rate=0, environment={"GANGLION_TELEMETRY": "none"}
    )
    with LocalCluster(options) as started:
        yield started
