"""Does the whole product know its callers and prove itself to its GPU, through rotation, outage and refusal?"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.issuer.federation import MEMBER
from tests.end_to_end.cold import SPEED, cold_scene
from tests.end_to_end.conftest import HASTY
from tests.end_to_end.waiting import eventually

QUESTION = {"input": "COUNT 3", "model": "scripted"}
FEDERATION = {"managed-identity": 1, "sts": 1, "id-token": 1}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    options = ClusterOptions(data=tmp_path_factory.mktemp("identity"), rate=0, cold="0.5", environment=HASTY)
    with LocalCluster(options) as cluster:
        yield cluster


def ask(cluster: LocalCluster, token: str | None = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {token or cluster.token()}"}
    return httpx.post(f"{cluster.base_url}/v1/responses", json=QUESTION, headers=headers, timeout=60)


def counts(cluster: LocalCluster) -> dict[str, int]:
    return httpx.get(f"{cluster.issuer_url}/admin/calls").json()["counts"]


def setting(cluster: LocalCluster, **conditions: Any) -> None:
    content = json.dumps(conditions)
    httpx.patch(f"{cluster.issuer_url}/admin/conditions", content=content).raise_for_status()


async def refused_by_sts(cluster: LocalCluster) -> bool | None:
    return bool((await asyncio.to_thread(counts, cluster)).get("sts")) or None


async def asleep(cluster: LocalCluster) -> None:
    async with cold_scene(cluster) as scene:
        await scene.asleep(start_s=0.5, expected_s=SPEED)


def forget(cluster: LocalCluster) -> None:
    """Start a worker that holds no key and no token, and clear the issuer's counts."""
    worker = cluster.kill_worker()
    cluster.wait_worker(other_than=worker)
    httpx.delete(f"{cluster.issuer_url}/admin/calls").raise_for_status()


def test_a_turn_on_a_sleeping_gpu_passes_every_hop_once_and_warm_ones_none(cluster: LocalCluster) -> None:
    forget(cluster)
    for _ in range(4):
        answer = ask(cluster)
        assert (answer.status_code, answer.json()["status"]) == (200, "completed"), answer.text
    found = counts(cluster)
    assert {hop: found[hop] for hop in FEDERATION} == FEDERATION
    assert (found["discovery"], found["keys"]) == (1, 1)


def test_a_key_that_was_rotated_is_known_at_once_and_an_issuer_that_is_down_stops_nobody(cluster: LocalCluster) -> None:
    forget(cluster)
    before = cluster.token()
    assert ask(cluster, before).status_code == 200
    httpx.post(f"{cluster.issuer_url}/admin/keys/rotate").raise_for_status()
    after = cluster.token()
    assert after.partition(".")[0] != before.partition(".")[0]
    assert ask(cluster, after).status_code == 200
    setting(cluster, faults={"discovery": "503", "keys": "503"})
    try:
        assert [ask(cluster, token).status_code for token in (before, after)] == [200, 200]
        assert counts(cluster)["keys"] == 2
    finally:
        setting(cluster, faults={})


def test_an_issuer_that_is_down_at_first_is_503_and_then_well(cluster: LocalCluster) -> None:
    setting(cluster, faults={"discovery": "503"})
    forget(cluster)
    refused = ask(cluster)
    setting(cluster, faults={})
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1


@pytest.mark.campaign
async def test_a_role_that_is_missing_ends_the_turn_with_what_to_grant(cluster: LocalCluster) -> None:
    setting(cluster, members=[])
    await asleep(cluster)
    forget(cluster)
    try:
        ended = (await asyncio.to_thread(ask, cluster)).json()
    finally:
        setting(cluster, members=[MEMBER])
    assert ended["status"] == "failed"
    assert "grant roles/iam.workloadIdentityUser" in ended["error"]["message"]
    assert "Traceback" not in json.dumps(ended)


@pytest.mark.campaign
async def test_an_sts_that_fails_for_a_moment_costs_a_wait_and_no_turn(cluster: LocalCluster) -> None:
    setting(cluster, faults={"sts": "503"})
    await asleep(cluster)
    forget(cluster)
    headers = {"authorization": f"Bearer {cluster.token()}"}
    url = f"{cluster.base_url}/v1/responses"
    async with httpx.AsyncClient(headers=headers, timeout=60) as http:
        turn = (await http.post(url, json={**QUESTION, "background": True})).json()
        await eventually(lambda: refused_by_sts(cluster), what="the STS is asked")
        setting(cluster, faults={})
        told = await http.get(f"{url}/{turn['id']}?stream=true")
    assert "response.completed" in told.text
