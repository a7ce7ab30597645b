"""Does the local host run queue triggers over Microsoft's Azurite as the Functions host would?"""

import base64
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueClient, QueueServiceClient

from tests.conformance.azure.storage_account import StorageAccount, storage_account
from tests.devhost.hosts import RunningHost, running, until

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

QUEUE = "orders"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Generator[StorageAccount]:
    with storage_account(tmp_path_factory.mktemp("azurite"), by_token=False) as started:
        yield started


@pytest.fixture(scope="module")
def service(account: StorageAccount) -> Generator[QueueServiceClient]:
    with QueueServiceClient.from_connection_string(account.connection_string) as found:
        found.create_queue(QUEUE)
        yield found


@pytest.fixture(scope="module")
def host(
    tmp_path_factory: pytest.TempPathFactory, account: StorageAccount, service: QueueServiceClient
) -> Generator[RunningHost]:
    folder = tmp_path_factory.mktemp("host")
    name = service.get_queue_client(QUEUE).queue_name
    with running("queues", folder, NOTES=str(folder), QUEUE=name, ORDERS=account.connection_string) as started:
        yield started


def put(service: QueueServiceClient, content: Any) -> str:
    """Put a message as the SDK's users put it for a function; return its id."""
    text = base64.b64encode(json.dumps(content).encode()).decode()
    return service.get_queue_client(QUEUE).send_message(text).id


def seen(host: RunningHost, identifier: str) -> list[dict[str, Any]]:
    path = Path(host.folder) / "messages"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line for line in map(json.loads, lines) if line["id"] == identifier]


def size(queue: QueueClient) -> int:
    return queue.get_queue_properties().approximate_message_count or 0


def is_empty(service: QueueServiceClient) -> bool:
    return size(service.get_queue_client(QUEUE)) == 0


def test_a_message_is_given_to_the_function_once_and_deleted(host: RunningHost, service: QueueServiceClient) -> None:
    identifier = put(service, {"text": "My lamp is broken."})
    until(lambda: seen(host, identifier) and is_empty(service), "the message is gone")
    (found,) = seen(host, identifier)
    assert (json.loads(found["content"]), found["tries"]) == ({"text": "My lamp is broken."}, 1)
    assert found["receipt"]
    assert found["inserted"]


def test_a_message_that_fails_goes_to_the_poison_queue_after_its_tries(
    host: RunningHost, service: QueueServiceClient
) -> None:
    identifier = put(service, {"fails": True})
    until(lambda: len(seen(host, identifier)) == 3 and is_empty(service), "three tries")
    assert [one["tries"] for one in seen(host, identifier)] == [1, 2, 3]
    (poisoned,) = service.get_queue_client(f"{QUEUE}-poison").receive_messages()
    assert json.loads(base64.b64decode(poisoned.content)) == {"fails": True}


def test_a_message_whose_worker_dies_comes_again(host: RunningHost, service: QueueServiceClient) -> None:
    identifier = put(service, {"dies": True})
    until(lambda: len(seen(host, identifier)) == 2 and is_empty(service), "a second try")
    assert [one["tries"] for one in seen(host, identifier)] == [1, 2]
