"""Does the official suite of Open Responses pass against plain `make run MODEL=scripted`?

The suite is no package. It is cloned at one commit into .run/kits/open-responses; where its host can't be reached, put
a checkout there. It runs in bun, as its authors run it.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from standins.cluster.local_cluster import LocalCluster
from tests.conformance.installing import GIVEN, HOME, alone, called, install_javascript, keep
from tests.conformance.page import Verdict, section, unexplained, write_section

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

SOURCE: Final = "https://github.com/openresponses/openresponses"
COMMIT: Final = "92c12d96d7b61d6d15e2214daa5e9c6000ab6e1c"
SUITE: Final = HOME / "open-responses"
PACKAGES: Final = HOME / "open-responses-packages"
LOCKS: Final = (GIVEN / "openresponses" / "package.json", GIVEN / "openresponses" / "package-lock.json")

OVER_HTTP: Final = 10
REASONS: Mapping[str, str] = {
    "websocket-": "no HTTP trigger of Azure Functions accepts an upgrade to WebSocket",
}


def bun() -> Path:
    """Return bun, without the script that would put it into place."""
    return next((PACKAGES / "node_modules" / "@oven").glob("bun-linux-x64/bin/bun"))


@pytest.fixture(scope="module")
def program() -> Path:
    """Return the suite's program beside the packages that it imports."""
    with alone("open-responses"):
        keep(PACKAGES, LOCKS, partial(install_javascript, PACKAGES, LOCKS))
        if not SUITE.exists():
            clone()
        packages = SUITE / "node_modules"
        if not packages.exists():
            packages.symlink_to(PACKAGES / "node_modules")
    return SUITE / "bin" / "compliance-test.ts"


def clone() -> None:
    git = shutil.which("git") or "git"
    try:
        called(git, "init", "--quiet", str(SUITE))
        called(git, "-C", str(SUITE), "fetch", "--quiet", "--depth", "1", SOURCE, COMMIT)
        called(git, "-C", str(SUITE), "checkout", "--quiet", "FETCH_HEAD")
    except subprocess.CalledProcessError:
        shutil.rmtree(SUITE)
        pytest.skip(f"{SOURCE} can't be reached; put a checkout into {SUITE}")


async def test_the_official_suite_passes_over_http(scripted_cluster: LocalCluster, program: Path) -> None:
    url, token = f"{scripted_cluster.base_url}/v1", scripted_cluster.token()
    given = ("--base-url", url, "--api-key", token, "--model", "auto", "--json")
    suite = await asyncio.create_subprocess_exec(
        str(bun()), "run", str(program), *given, stdout=asyncio.subprocess.PIPE, cwd=program.parents[1]
    )
    said, _ = await suite.communicate()
    results = json.loads(said)["results"]
    failed = [each["id"] for each in results if each["status"] != "passed"]
    found = Verdict(judge=f"Open Responses, the official suite, {COMMIT[:7]}", total=len(results), failed=failed)
    write_section(section(found, REASONS))
    assert unexplained(found, REASONS) == []
    assert found.passed == OVER_HTTP
