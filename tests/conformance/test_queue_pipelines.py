"""Is a message of a queue one answer in a container, also where the worker is killed? Azurite stands in for Azure."""

import asyncio
import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob.aio import ContainerClient
from azure.storage.queue import QueueClient, QueueServiceClient

from clients.azure_storage.account import client_options, credential_of
from clients.clock import SystemClock
from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from standins.issuer.entra_tokens import TENANTS, guid_of
from tests.conformance.storage_account import StorageAccount, storage_account
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


async def answers(account: StorageAccount, *, make: bool = False) -> Sequence[dict[str, Any]]:
    """Return the answers that are in the container, which is made first if it is to be."""
    credential = credential_of(account.identity, SystemClock().now())
    options = client_options(account.identity)
    async with ContainerClient(account.blobs, "answers", credential=credential, **options) as container:
        if make:
            await container.create_container()
        names = [each.name async for each in container.list_blobs()]
        return [json.loads(await (await container.download_blob(name)).readall()) for name in names]


def put(queue: QueueClient, content: bytes) -> None:
    queue.send_message(base64.b64encode(content).decode())


def size(queue: QueueClient) -> int:
    return queue.get_queue_properties().approximate_message_count or 0


def test_messages_are_answered_once_each_though_the_worker_is_killed(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("queues", "blobs")]
    for folder in folders:
        folder.mkdir()
    with (
        storage_account(folders[0], by_token=False) as queues,
        storage_account(folders[1]) as blobs,
        QueueServiceClient.from_connection_string(queues.connection_string) as service,
    ):
        queue = service.create_queue("orders")
        asyncio.run(answers(blobs, make=True))
        pipelines = tmp_path / "pipelines.toml"
        pipelines.write_text(PIPELINES.format(tenant=guid_of("tenant", min(TENANTS)), blobs=blobs.blobs))
        environment = {
            "GANGLION_PIPELINES": str(pipelines),
            "GANGLION_STORAGE_TOKEN": blobs.identity.token,
            "GANGLION_STORAGE_CA": str(blobs.identity.authority),
            "ORDERS": queues.connection_string,
        }
        with LocalCluster(ClusterOptions(data=tmp_path / "data", model="scripted", environment=environment)) as cluster:
            for text in (b'{"text": "an order"}', b'{"text": "another"}', b"not JSON"):
                put(queue, text)
            for _ in range(2):
                put(queue, json.dumps(EVENT).encode())
            until(lambda: size(queue) < 5, "a message was taken", PATIENCE_S)
            cluster.kill_worker()
            until(lambda: len(asyncio.run(answers(blobs))) == 3, "three answers", PATIENCE_S)
            until(lambda: size(queue) == 0, "the queue is empty", PATIENCE_S)
            found = asyncio.run(answers(blobs))
            assert len({each["id"] for each in found}) == 3
            assert [each["data"]["pipeline"] for each in found] == ["orders"] * 3
