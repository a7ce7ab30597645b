"""Does the doctor name one fault at a time of an application that runs in processes, and no other?"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from settings import ROOT
from standins.cluster.local_cluster import ClusterOptions, LocalCluster

pytestmark = [pytest.mark.campaign, pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(300)]

CLOSED = "http://127.0.0.1:1"

type Change = Callable[[Path], Mapping[str, str]]


def settings(**values: str) -> Change:
    return lambda _: values


def edited(name: str, old: str, new: str) -> Change:
    """Return a change that puts an edited copy of a configuration file in the place of it."""

    def change(folder: Path) -> Mapping[str, str]:
        text = (ROOT / f"{name}.toml").read_text(encoding="utf-8")
        assert old in text
        file = folder / f"{name}.toml"
        file.write_text(text.replace(old, new), encoding="utf-8")
        return {f"GANGLION_{name.upper()}": str(file)}

    return change


def wrong_budgets(folder: Path) -> Mapping[str, str]:
    file = folder / "budgets.toml"
    file.write_text("[tenants.one]\nowner_month = -7\n", encoding="utf-8")
    return {"GANGLION_BUDGETS": str(file)}


def key_file(folder: Path) -> Mapping[str, str]:
    file = folder / "key.json"
    file.write_text('{"private_key": "…"}', encoding="utf-8")
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}


FAULTS: dict[str, Change] = {
    "settings.values": settings(GANGLION_BODY_LIMIT="0"),
    "settings.misspelled": settings(GANGLION_BUDGET_TENNANT_DAY="5"),
    "settings.unknown": settings(GANGLION_SILENCE="5"),
    "settings.budget_sizes": settings(GANGLION_BUDGET_RESPONSE="0.000000001"),
    "settings.sync_wait": settings(GANGLION_SYNC_WAIT_S="230"),
    "settings.handover": settings(GANGLION_HANDOVER_S="600"),
    "settings.stream": settings(GANGLION_STREAM_S="1800"),
    "settings.sweeper": settings(GANGLION_SWEEP_SILENT_S="480"),
    "settings.key_file": key_file,
    "files.prices": edited("prices", 'kind = "per_second"', 'kind = "per_century"'),
    "files.sources": edited("sources", "max_rows = 20", "max_rows = 0"),
    "files.webhooks": edited("webhooks", "secrets =", "secretes ="),
    "files.tools": edited("tools", 'approval = "never"', 'approval = "perhaps"'),
    "files.budgets": wrong_budgets,
    "files.fleet": edited("fleet", "decode_tokens_s = 80", "decode_tokens_s = -1"),
    "backends.resolve": settings(GANGLION_SCRIPTED_URL="http://nowhere.invalid/v1"),
    "backends.reach": settings(GANGLION_SCRIPTED_URL=f"{CLOSED}/v1"),
    "identity.token": settings(GANGLION_ACCESS_TOKEN="no.token"),
    "telemetry.collector": settings(OTEL_EXPORTER_OTLP_ENDPOINT=CLOSED),
    "telemetry.connection": settings(APPLICATIONINSIGHTS_CONNECTION_STRING="InstrumentationKey=mine"),
    "hub.name": settings(AzureFunctionsJobHost__extensions__durableTask__hubName="my-hub"),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(ClusterOptions(data=tmp_path_factory.mktemp("doctor"), cold="1", warm_models=True)) as running:
        yield running


def findings(cluster: LocalCluster, changes: Mapping[str, str]) -> set[str]:
    given = {"PATH": os.environ["PATH"], "PORT": str(cluster.port), "GANGLION_ACCESS_TOKEN": cluster.token(), **changes}
    command = [sys.executable, "-m", "ganglion", "doctor", "--json"]
    done = subprocess.run(command, env=given, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    return {each["name"] for each in json.loads(done.stdout)["checks"] if each["findings"]}


def test_without_a_fault_nothing_is_found(cluster: LocalCluster) -> None:
    assert findings(cluster, {}) == set()


@pytest.mark.parametrize("name", FAULTS)
def test_one_fault_is_named_and_no_other(cluster: LocalCluster, name: str, tmp_path: Path) -> None:
    assert findings(cluster, FAULTS[name](tmp_path)) == {name}


@pytest.mark.parametrize(("service", "name"), [("scripted", "backends.reach")])
def test_a_killed_model_is_named_until_it_runs_again(cluster: LocalCluster, service: str, name: str) -> None:
    cluster.kill_model(service)
    assert findings(cluster, {}) == {name}
    cluster.restart_model(service)
    assert findings(cluster, {}) == set()
