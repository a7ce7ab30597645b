"""Is a message of a queue one answer in a container, also where the worker is killed? Azurite stands in for Azure."""

import json
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient

from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from standins.issuer.entra_tokens import TENANTS, guid_of
from tests.conformance.azure.storage_account import pipeline_storage
from tests.devhost.hosts import until

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

PIPELINES = """
[pipelines.orders]
trigger = "queue"
queue = "orders"
connection = "ORDERS"
input = "data.text"
owner = {{ tenant = "{tenant}", app = "66666666-0000-0000-0000-000000000000" }}
sink = {{ blob = "{blobs}/answers" }}
"""
EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order", "data": {"text": "an event"}}
PATIENCE_S = 240.0


def size(queue: QueueClient) -> int:
    return queue.get_queue_properties().approximate_message_count or 0


def test_messages_are_answered_once_each_though_the_worker_is_killed(tmp_path: Path) -> None:
    with pipeline_storage(tmp_path, "orders") as storage:
        pipelines = tmp_path / "pipelines.toml"
        pipelines.write_text(PIPELINES.format(tenant=guid_of("tenant", min(TENANTS)), blobs=storage.blobs.blobs))
        environment = {
            **storage.environment,
            "GANGLION_PIPELINES": str(pipelines),
            "ORDERS": storage.connection_string,
        }
        with LocalCluster(ClusterOptions(data=tmp_path / "data", model="scripted", environment=environment)) as cluster:
            for text in (b'{"text": "an order"}', b'{"text": "another"}', b"not JSON"):
                storage.put(text)
            for _ in range(2):
                storage.put(json.dumps(EVENT).encode())
            until(lambda: size(storage.queue) < 5, "a message was taken", PATIENCE_S)
            cluster.kill_worker()
            until(lambda: len(storage.answers()) == 3, "three answers", PATIENCE_S)
            until(lambda: size(storage.queue) == 0, "the queue is empty", PATIENCE_S)
            found = storage.answers()
            assert len({each["id"] for each in found}) == 3
            assert [each["data"]["pipeline"] for each in found] == ["orders"] * 3
