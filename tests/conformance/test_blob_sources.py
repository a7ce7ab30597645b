"""Does the event of a new blob start a turn that reads that blob, and no other? Azurite stands in for Azure Storage."""

import asyncio
import base64
import json
import secrets
from collections.abc import Generator, Mapping
from copy import replace
from pathlib import Path

import pytest
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import ContainerClient
from azure.storage.queue import QueueServiceClient

from clients.azure_storage.account import StorageIdentity, client_options, credential_of
from clients.azure_storage.blob_source import BlobSource
from clients.clock import SystemClock
from clients.sources.egress import pinned_client
from clients.sources.reader import SourceReader
from domain.identity.owners import Owner
from domain.sources.catalog import CallerClaim, FetchedRows, Source, SourceKind, Sources
from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from standins.issuer.entra_tokens import TENANTS, guid_of
from tests.conformance.storage_account import StorageAccount, storage_account
from tests.conformance.test_queue_pipelines import PATIENCE_S, answers
from tests.devhost.hosts import until

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

OWNER = Owner(tenant="t-1", subject="user:u-1")
type Contents = Mapping[str, tuple[bytes, str]]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Generator[StorageAccount]:
    with storage_account(tmp_path_factory.mktemp("azurite")) as started:
        yield started


async def filled(account: StorageAccount, contents: Contents, *, name: str = "") -> str:
    """Return the name of a container with these blobs, each with its type; the SDK writes them, not our adapter."""
    name, credential = name or f"in-{secrets.token_hex(6)}", credential_of(account.identity, SystemClock().now())
    async with ContainerClient(
        account.blobs, name, credential=credential, **client_options(account.identity)
    ) as container:
        await container.create_container()
        for path, (content, kind) in contents.items():
            await container.upload_blob(path, content, content_settings=ContentSettings(content_type=kind))
    return name


async def read(source: Source, text: str, identity: StorageIdentity, *, loopback: bool = True) -> FetchedRows:
    clock, client = SystemClock(), pinned_client(loopback=loopback)
    connectors = {SourceKind.BLOB: BlobSource(client, identity, clock)}
    reader = SourceReader(Sources(known={source.name: source}), connectors, clock)
    return await reader.read_one(source.name, OWNER, text)


async def test_a_blob_is_read_as_rows_within_its_limits(account: StorageAccount) -> None:
    container = await filled(
        account,
        {
            "in/a b.csv": (b"id,name\n1,Ann\n2,Bob\n", "text/csv"),
            "in/long.txt": (b"x" * 2000, "text/plain"),
            "in/image.png": (b"\x89PNG", "image/png"),
            "in/empty.txt": (b"", "text/plain"),
            "t-1/u-1/all.json": (b'[{"id": 1, "t": "lamp"}, {"id": 2, "t": "desk"}]', "application/json"),
        },
    )
    source = Source(
        name="files",
        kind=SourceKind.BLOB,
        address=account.blobs,
        target=(container,),
        path="in/{blob}",
        max_bytes=1000,
        deadline_s=120.0,
    )
    found = await read(source, f'{{"url": "{account.blobs}/{container}/in/a%20b.csv"}}', account.identity)
    assert [dict(row) for row in found.rows] == [{"id": "1", "name": "Ann"}, {"id": "2", "name": "Bob"}]
    assert (await read(source, "empty.txt", account.identity)).problem == ""
    for text, why in (
        ("long.txt", "it has 2000 bytes, more than 1000"),
        ("image.png", "its content type is image/png"),
        ("missing.txt", "the blob does not exist"),
        ("../t-1/u-1/all.json", "is not allowed"),
        (f"{account.blobs}/{container}/t-1/u-1/all.json", "outside of its path"),
    ):
        assert why in (await read(source, text, account.identity)).problem
    own = replace(source, path="{t}/{o}/all.json", parameters={"t": CallerClaim.TID, "o": CallerClaim.OID}, keywords=2)
    assert [dict(row)["id"] for row in (await read(own, "the lamp, please", account.identity)).rows] == [1]
    missing = replace(source, target=("no-container",))
    assert (await read(missing, "a.txt", account.identity)).problem == "the container does not exist"
    stranger = replace(account.identity, token="not a token")
    assert "needs a data role" in (await read(source, "a.txt", stranger)).problem
    assert "loopback" in (await read(source, "a.txt", account.identity, loopback=False)).problem


PIPELINES = """
[pipelines.letters]
trigger = "queue"
queue = "blob-events"
connection = "LETTERS"
input = "data.url"
sources = ["letters"]
owner = {{ tenant = "{tenant}", app = "66666666-0000-0000-0000-000000000000" }}
sink = {{ blob = "{blobs}/answers" }}
"""
SOURCES = """
[sources.letters]
kind = "blob"
url = "{blobs}"
target = ["letters"]
path = "{{tenant}}/{{blob}}"
parameters = {{ tenant = "tid" }}
deadline_s = 120
"""


def test_the_event_of_a_new_blob_starts_a_turn_that_reads_it(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("queues", "blobs")]
    for folder in folders:
        folder.mkdir()
    tenant = guid_of("tenant", min(TENANTS))
    with (
        storage_account(folders[0], by_token=False) as queues,
        storage_account(folders[1]) as blobs,
        QueueServiceClient.from_connection_string(queues.connection_string) as service,
    ):
        queue = service.create_queue("blob-events")
        asyncio.run(answers(blobs, make=True))
        asyncio.run(filled(blobs, {f"{tenant}/one.csv": (b"id,word\n7,zebra\n", "text/csv")}, name="letters"))
        files = {
            "pipelines": PIPELINES.format(tenant=tenant, blobs=blobs.blobs),
            "sources": SOURCES.format(blobs=blobs.blobs),
        }
        for name, text in files.items():
            (tmp_path / f"{name}.toml").write_text(text)
        environment = {
            "GANGLION_PIPELINES": str(tmp_path / "pipelines.toml"),
            "GANGLION_SOURCES": str(tmp_path / "sources.toml"),
            "GANGLION_SOURCES_LOOPBACK": "true",
            "GANGLION_STORAGE_TOKEN": blobs.identity.token,
            "GANGLION_STORAGE_CA": str(blobs.identity.authority),
            "LETTERS": queues.connection_string,
        }
        with LocalCluster(ClusterOptions(data=tmp_path / "data", model="scripted", environment=environment)) as cluster:
            event = {
                "specversion": "1.0",
                "id": "1",
                "source": "/accounts/shop",
                "type": "Microsoft.Storage.BlobCreated",
                "data": {"api": "PutBlob", "url": f"{blobs.blobs}/letters/{tenant}/one.csv"},
            }
            queue.send_message(base64.b64encode(json.dumps(event).encode()).decode())
            until(lambda: len(asyncio.run(answers(blobs))) == 1, "an answer", PATIENCE_S)
            (answer,) = asyncio.run(answers(blobs))
            stored = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*.db*"))
            assert b"zebra" in stored
            assert answer["data"]["text"]
            assert cluster
