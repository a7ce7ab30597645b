"""Does a turn reach a cold GPU in another cloud without a stored key?"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from tests.standins.programs import wait_until

FLEET = """
[models.scripted]
context_tokens = 32768
tier = 1

[systems.cloud-run]
signatures = [
    { failure_class = "cold", statuses = [429], body = "Rate exceeded", note = "an instance is starting" },
]

[backends.scripted-gpu]
model = "scripted"
system = "cloud-run"
url = "%GANGLION_SCRIPTED_GPU_URL%"
price = "scripted"
auth = { kind = "google_id_token" }
limits = { context_tokens = 32768, max_output_tokens = 1024, concurrency = 8, request_timeout_s = 600 }
cold = { scales_to_zero = true, p50_s = 1, p99_s = 20, warm_up_hold_s = 2, idle_s = 60 }
speed = { prefill_tokens_s = 20000, decode_tokens_s = 50 }
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    data = tmp_path_factory.mktemp("cluster")
    fleet = data / "fleet.toml"
    fleet.write_text(FLEET)
    environment = {"GANGLION_FLEET": str(fleet)}
    with LocalCluster(
        ClusterOptions(data=data, rate=0, cold="1", gpu=("--tail", 60), environment=environment)
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[httpx.Client]:
    bearer = {"authorization": f"Bearer {cluster.token()}"}
    with httpx.Client(base_url=cluster.base_url, headers=bearer, timeout=60) as client:
        yield client


def ask(client: httpx.Client, text: str) -> dict[str, Any]:
    return client.post("/v1/responses", json={"model": "auto", "input": text}).raise_for_status().json()


def admin_record(cluster: LocalCluster, what: str) -> dict[str, Any]:
    return httpx.get(f"{cluster.model_url('scripted-gpu')}/admin/{what}").raise_for_status().json()


def calls(cluster: LocalCluster) -> dict[str, int]:
    return httpx.get(f"{cluster.issuer_url}/admin/calls").raise_for_status().json()["counts"]


def scale_in(cluster: LocalCluster) -> None:
    httpx.post(f"{cluster.model_url('scripted-gpu')}/admin/scale-in")
    wait_until(lambda: not admin_record(cluster, "state")["instances"])


def test_a_turn_starts_the_gpu_and_a_warm_turn_fetches_no_credential(
    cluster: LocalCluster, client: httpx.Client
) -> None:
    scale_in(cluster)
    cold = ask(client, "ECHO good morning")
    counts = calls(cluster)
    warm = ask(client, "ECHO still here")
    texts = [turn["output"][0]["content"][0]["text"] for turn in (cold, warm)]
    assert texts == ["good morning", "still here"]
    assert {hop: counts[hop] for hop in ("managed-identity", "sts", "id-token")} == {
        "managed-identity": 1,
        "sts": 1,
        "id-token": 1,
    }
    assert calls(cluster) == counts
    assert admin_record(cluster, "bill")["sessions"][-1]["start_s"] >= 1


def test_a_plain_question_is_answered_completely(client: httpx.Client) -> None:
    answer = ask(client, "Why is the sky blue?")
    assert answer["status"] == "completed"
    assert 20 <= answer["usage"]["output_tokens"] <= 40


def test_the_gpu_rejects_a_caller_without_a_google_token(cluster: LocalCluster) -> None:
    answer = httpx.post(f"{cluster.model_url('scripted-gpu')}/v1/chat/completions", json={})
    assert answer.status_code == 403


def test_a_gpu_that_scaled_to_zero_starts_again(cluster: LocalCluster, client: httpx.Client) -> None:
    ask(client, "ECHO hello")
    scale_in(cluster)
    assert ask(client, "ECHO hello again")["status"] == "completed"
    assert len(admin_record(cluster, "bill")["sessions"]) >= 2
