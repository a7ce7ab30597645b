"""Does what docs/pipelines.md prints run as it stands, with the SDK of CloudEvents?"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.issuer.entra_tokens import guid_of
from tests.conformance.documents.examples import STRICT, blocks_by_language
from tests.conformance.installing import ROOT, python_kits
from tests.conformance.programs import said_by

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

PAGE: Final = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
BLOCKS: Final = blocks_by_language(PAGE)
WEBHOOKS: Final = """
[webhooks.main]
url = "http://127.0.0.1:9/nobody"
secrets = ["GANGLION_WEBHOOK_SECRET"]
tenants = ["*"]
events = ["pipeline.completed"]
"""
TENANT, APP = guid_of("tenant", "contoso"), guid_of("app", "shop")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder = tmp_path_factory.mktemp("pipelines")
    (folder / "pipelines.toml").write_text(BLOCKS["toml"][0], encoding="utf-8")
    (folder / "webhooks.toml").write_text(WEBHOOKS, encoding="utf-8")
    settings = {
        "GANGLION_TELEMETRY": "none",
        "GANGLION_PIPELINES": str(folder / "pipelines.toml"),
        "GANGLION_WEBHOOKS": str(folder / "webhooks.toml"),
        "GANGLION_WEBHOOKS_LOOPBACK": "true",
        "GANGLION_WEBHOOK_SECRET": "whsec_" + "eHh4" * 8,
        "TICKETS_TENANT": TENANT,
        "TICKETS_APP": APP,
    }
    with LocalCluster(ClusterOptions(data=folder / "cluster", rate=200, environment=settings)) as started:
        yield started


async def run(cluster: LocalCluster, script: str, **environment: str) -> str:
    """Run a block of the page against the cluster, with the Python of the tests."""
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    there = script.replace("127.0.0.1:7071", f"127.0.0.1:{cluster.port}")
    environment = {"PORT": str(cluster.port), "PATH": path, **environment}
    return "\n".join(await said_by("bash", "-c", STRICT + there, environment=environment, folder=ROOT))


async def token(cluster: LocalCluster, roles: str) -> str:
    return (await run(cluster, f"make -s token APP=shop ROLES={roles}")).strip()


async def test_the_ids_of_the_owner_are_those_of_its_token(cluster: LocalCluster) -> None:
    printed = await run(cluster, f"set +o pipefail\n{BLOCKS['sh'][0]}")  # the base64 of a token has no padding
    assert sorted(printed.replace(" ", "").splitlines()) == sorted([f'"tid":"{TENANT}"', f'"azp":"{APP}"'])


async def test_curl_and_the_sdk_send_the_event_of_the_page_and_it_is_one_turn(
    cluster: LocalCluster, tmp_path: Path
) -> None:
    by_curl = json.loads(await run(cluster, BLOCKS["sh"][1]))["data"][0]
    program = tmp_path / "send.py"
    there = BLOCKS["python"][0].replace("7071", str(cluster.port)).replace("print(", "print(__import__('json').dumps(")
    begin = "import os\n\ntoken = os.environ['TOKEN']\n"
    program.write_text(f"{begin}{there.rstrip()})\n", encoding="utf-8")
    said = await run(cluster, f"{python_kits()} {program}", TOKEN=await token(cluster, "Events.Send"))
    by_sdk = json.loads(said)["data"][0]
    assert by_curl["response_id"] == by_sdk["response_id"]
    assert by_curl["id"] == by_sdk["id"]


async def test_the_commands_of_the_page_list_what_is_dead_and_send_it_again(cluster: LocalCluster) -> None:
    no_text = BLOCKS["sh"][1].replace('"id": "7"', '"id": "8"').replace('"text"', '"other"')
    dead = json.loads(await run(cluster, no_text))["data"][0]
    assert dead["status"] == "dead"
    commands = BLOCKS["sh"][2].replace("dead_…", dead["id"])
    printed = await run(cluster, commands, GANGLION_ACCESS_TOKEN=await token(cluster, "Operations.Read,Events.Send"))
    assert "tickets" in printed
    assert printed.count(dead["id"]) >= 2
