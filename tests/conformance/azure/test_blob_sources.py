"""Does the event of a new blob start a turn that reads that blob, and no other? Azurite stands in for Azure Storage."""

import asyncio
import json
from collections.abc import Generator
from copy import replace
from pathlib import Path

import pytest

from clients.azure_storage.account import StorageIdentity
from clients.azure_storage.blob_source import BlobSource
from clients.clock import SystemClock
from clients.sources.egress import pinned_client
from clients.sources.reader import SourceReader
from domain.identity.owners import Owner
from domain.sources.catalog import CallerClaim, FetchedRows, Source, SourceKind, Sources
from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from standins.issuer.entra_tokens import TENANTS, guid_of
from tests.conformance.azure.storage_account import StorageAccount, filled, pipeline_storage, storage_account
from tests.conformance.azure.test_queue_pipelines import PATIENCE_S
from tests.devhost.hosts import until

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

OWNER = Owner(tenant="t-1", subject="user:u-1")


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Generator[StorageAccount]:
    with storage_account(tmp_path_factory.mktemp("azurite")) as started:
        yield started


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
    tenant = guid_of("tenant", min(TENANTS))
    with pipeline_storage(tmp_path, "blob-events") as storage:
        address = storage.blobs.blobs
        asyncio.run(filled(storage.blobs, {f"{tenant}/one.csv": (b"id,word\n7,zebra\n", "text/csv")}, name="letters"))
        files = {
            "pipelines": PIPELINES.format(tenant=tenant, blobs=address),
            "sources": SOURCES.format(blobs=address),
        }
        for name, text in files.items():
            (tmp_path / f"{name}.toml").write_text(text)
        environment = {
            **storage.environment,
            "GANGLION_PIPELINES": str(tmp_path / "pipelines.toml"),
            "GANGLION_SOURCES": str(tmp_path / "sources.toml"),
            "GANGLION_SOURCES_LOOPBACK": "true",
            "LETTERS": storage.connection_string,
        }
        with LocalCluster(ClusterOptions(data=tmp_path / "data", model="scripted", environment=environment)):
            event = {
                "specversion": "1.0",
                "id": "1",
                "source": "/accounts/shop",
                "type": "Microsoft.Storage.BlobCreated",
                "data": {"api": "PutBlob", "url": f"{address}/letters/{tenant}/one.csv"},
            }
            storage.put(json.dumps(event).encode())
            until(lambda: len(storage.answers()) == 1, "an answer", PATIENCE_S)
            (answer,) = storage.answers()
            stored = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*.db*"))
            assert b"zebra" in stored
            assert answer["data"]["text"]
