"""Can a page of another origin use the API from a browser?"""

import json
from pathlib import Path

import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.paths import ROOT
from standins.processes.ports import free_port
from tests.conformance.installing import javascript_kits
from tests.conformance.judging import judge
from tests.conformance.programs import Program, found_by

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(900)]

TITLE = "a browser on another origin"
PAGE = Program(file="browser.mjs")


def app_in(folder: Path, origin: str) -> Path:
    """Return the application as it is, with the settings of one who lets that origin call."""
    folder.mkdir()
    for each in ROOT.iterdir():
        if each.name != "local.settings.json" and not each.name.startswith("."):
            (folder / each.name).symlink_to(each)
    settings = {"IsEncrypted": False, "Values": {}, "Host": {"CORS": origin}}
    (folder / "local.settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


async def test_a_page_of_another_origin_streams_resumes_and_cancels(tmp_path: Path, chromium: str) -> None:
    javascript_kits()
    port = free_port()
    app = app_in(tmp_path / "app", f"http://localhost:{port}")
    quiet = {"GANGLION_TELEMETRY": "none"}
    with LocalCluster(ClusterOptions(data=tmp_path / "cluster", app=app, rate=60, environment=quiet)) as cluster:
        where = {"CHROMIUM": chromium, "PAGE_PORT": str(port), "MODEL": "scripted"}
        address = {"OPENAI_BASE_URL": f"{cluster.base_url}/v1", "OPENAI_API_KEY": cluster.token()}
        judge(TITLE, await found_by(PAGE, where | address), {})
