"""Does the adapter of Azure Blob Storage keep what every place of files keeps? Microsoft's Azurite answers."""

import base64
import secrets
from collections.abc import AsyncGenerator, Generator
from copy import replace

import pytest
from azure.storage.blob.aio import ContainerClient
from azure.storage.queue.aio import QueueClient

from clients.azure_storage.account import client_options, credential_of
from clients.azure_storage.answers import AzureAnswers
from clients.azure_storage.blob_contents import BlobContents
from clients.clock import SystemClock
from clients.storage.keys import turns_key
from domain.errors import Terminal, Unavailable
from state.files.places import FilePlaces
from tests.conformance.azure.storage_account import StorageAccount, storage_account
from tests.contracts.file_places import FilePlacesContract, Shelf
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Generator[StorageAccount]:
    with storage_account(tmp_path_factory.mktemp("azurite")) as started:
        yield started


@pytest.fixture
async def container(account: StorageAccount) -> AsyncGenerator[ContainerClient]:
    """Return a new container, by a client that is not the adapter's."""
    identity, name = account.identity, f"files-{secrets.token_hex(6)}"
    credential = credential_of(identity, SystemClock().now())
    async with ContainerClient(account.blobs, name, credential=credential, **client_options(identity)) as made:
        await made.create_container()
        yield made


class TestBlobs(FilePlacesContract):
    @pytest.fixture
    async def shelf(self, account: StorageAccount, container: ContainerClient) -> AsyncGenerator[Shelf]:
        clock = FakeClock()
        contents = BlobContents(account.blobs, container.container_name, account.identity, clock)
        store = MemoryStore(clock)

        async def left() -> int:
            return len([each async for each in container.list_blobs(include=["uncommittedblobs"])])

        yield Shelf(store=store, clock=clock, places=FilePlaces(store, contents), left=left)
        await contents.close()


async def test_what_is_wrong_with_the_storage_is_said(account: StorageAccount) -> None:
    key = turns_key(OWNER, "a" * 24)
    missing = BlobContents(account.blobs, "no-such-container", account.identity, FakeClock())
    with pytest.raises(Terminal, match="ContainerNotFound"):
        await missing.write(key, 0, b"x")
    with pytest.raises(Terminal, match="ContainerNotFound"):
        await missing.delete(key)
    await missing.close()
    stranger = replace(account.identity, token="not a token")
    refused = BlobContents(account.blobs, "any", stranger, FakeClock())
    with pytest.raises(Terminal, match="its identity needs a data role"):
        await refused.write(key, 0, b"x")
    await refused.close()


async def test_a_storage_that_does_not_answer_is_tried_again_later(account: StorageAccount) -> None:
    nobody = BlobContents("https://127.0.0.1:9", "any", account.identity, FakeClock())
    with pytest.raises(Unavailable, match="did not answer"):
        await nobody.write(turns_key(OWNER, "a" * 24), 0, b"x")
    await nobody.close()


async def test_an_answer_is_put_into_a_queue_and_once_into_a_container(
    account: StorageAccount, container: ContainerClient
) -> None:
    answers = AzureAnswers(account.identity, SystemClock())
    place = f"{account.blobs}/{container.container_name}"
    for content in (b'{"text": "first"}', b'{"text": "second"}'):
        await answers.put_blob(place, "tickets/evt_1.json", content)
    found = await container.download_blob("tickets/evt_1.json")
    assert await found.readall() == b'{"text": "first"}'
    assert [each.name async for each in container.list_blobs()] == ["tickets/evt_1.json"]
    credential = credential_of(account.identity, SystemClock().now())
    async with QueueClient(
        account.queues, "answers", credential=credential, **client_options(account.identity)
    ) as queue:
        await queue.create_queue()
        await answers.put_message(f"{account.queues}/answers", '{"text": "größer"}')
        (message,) = [each async for each in queue.receive_messages()]
    assert base64.b64decode(message.content).decode() == '{"text": "größer"}'
    with pytest.raises(Terminal, match="QueueNotFound"):
        await answers.put_message(f"{account.queues}/missing", "{}")
    with pytest.raises(Terminal, match="ContainerNotFound"):
        await answers.put_blob(f"{account.blobs}/missing", "a.json", b"{}")
