"""How does a test get an Azure Storage account? Azurite serves one over TLS, and asks for Microsoft Entra tokens."""

import asyncio
import base64
import datetime as dt
import ipaddress
import json
import re
import secrets
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from azure.storage.blob import ContentSettings
from azure.storage.blob.aio import ContainerClient
from azure.storage.queue import QueueClient, QueueServiceClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clients.azure_storage.account import StorageIdentity, client_options, credential_of
from clients.clock import SystemClock
from standins.paths import ROOT
from standins.processes.child_process import ChildProcess, ProcessSpec
from tests.conformance.installing import azurite

ACCOUNT: Final = "devstoreaccount1"
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""https://learn.microsoft.com/azure/storage/common/storage-use-azurite"""

READY: Final = re.compile(r"Azurite (Blob|Queue) service is successfully listening at (\S+)")
READY_S: Final = 60.0
TOKEN_S: Final = 3600
SKIPPED: Final = "Azurite can't be installed from npm: "

type Contents = Mapping[str, tuple[bytes, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageAccount:
    blobs: str
    queues: str
    identity: StorageIdentity

    @property
    def connection_string(self) -> str:
        """The settings of a function app on one machine: Azurite's public key."""
        return f"AccountName={ACCOUNT};AccountKey={KEY};QueueEndpoint={self.queues};BlobEndpoint={self.blobs};"


def installed() -> list[str]:
    """Return the command of Azurite; skips the test, with the reason, where npm does not give it."""
    try:
        return [str(each) for each in azurite()]
    except subprocess.CalledProcessError as error:
        pytest.skip(SKIPPED + (error.stderr or error.stdout or b"").decode(errors="replace").strip()[-300:])


@contextmanager
def storage_account(folder: Path, *, by_token: bool = True) -> Generator[StorageAccount]:
    """Start a storage account of its own, which asks for tokens and has TLS, or for a key."""
    command = installed()
    certificate, key = write_certificate(folder)
    options = ["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent"]
    secured = ["--oauth", "basic", "--cert", str(certificate), "--key", str(key)] if by_token else []
    ports = ["--blobPort", "0", "--queuePort", "0", "--tablePort", "0"]
    spec = ProcessSpec(
        name="azurite",
        command=[*command, *options, *ports, *secured],
        environment=environ,
        log=folder / "azurite.log",
        folder=ROOT,
    )
    child = ChildProcess(spec)
    try:
        found = child.wait_for(lambda: listening(child.output()), READY_S)
        identity = StorageIdentity(token=token(), authority=certificate)
        blobs, queues = (f"{found[name]}/{ACCOUNT}" for name in ("Blob", "Queue"))
        yield StorageAccount(blobs=blobs, queues=queues, identity=identity)
    finally:
        child.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStorage:
    """A queue of an account with a key, and an account that asks for tokens, whose container `answers` is empty."""

    queue: QueueClient
    connection_string: str
    blobs: StorageAccount

    @property
    def environment(self) -> Mapping[str, str]:
        identity = self.blobs.identity
        return {"GANGLION_STORAGE_TOKEN": identity.token, "GANGLION_STORAGE_CA": str(identity.authority)}

    def put(self, content: bytes) -> None:
        self.queue.send_message(base64.b64encode(content).decode())

    def answers(self) -> Sequence[dict[str, Any]]:
        """Return the answers that are in the container."""
        return asyncio.run(read_json(self.blobs, "answers"))


@contextmanager
def pipeline_storage(folder: Path, queue: str) -> Generator[PipelineStorage]:
    for name in ("queues", "blobs"):
        (folder / name).mkdir()
    with (
        storage_account(folder / "queues", by_token=False) as queues,
        storage_account(folder / "blobs") as blobs,
        QueueServiceClient.from_connection_string(queues.connection_string) as service,
    ):
        asyncio.run(filled(blobs, {}, name="answers"))
        yield PipelineStorage(
            queue=service.create_queue(queue), connection_string=queues.connection_string, blobs=blobs
        )


def container_client(account: StorageAccount, name: str) -> ContainerClient:
    credential = credential_of(account.identity, SystemClock().now())
    return ContainerClient(account.blobs, name, credential=credential, **client_options(account.identity))


async def read_json(account: StorageAccount, name: str) -> Sequence[dict[str, Any]]:
    async with container_client(account, name) as container:
        names = [each.name async for each in container.list_blobs()]
        return [json.loads(await (await container.download_blob(each)).readall()) for each in names]


async def filled(account: StorageAccount, contents: Contents, *, name: str = "") -> str:
    """Return the name of a new container with these blobs, each with its type; the SDK writes them, not our adapter."""
    name = name or f"in-{secrets.token_hex(6)}"
    async with container_client(account, name) as container:
        await container.create_container()
        for path, (content, kind) in contents.items():
            await container.upload_blob(path, content, content_settings=ContentSettings(content_type=kind))
    return name


def listening(output: str) -> dict[str, str] | None:
    found = dict(READY.findall(output))
    return found if len(found) == 2 else None


def token() -> str:
    """Return what Entra would issue to a managed identity. Azurite reads it and does not verify who signed it."""
    now = int(SystemClock().now())
    claims = {
        "aud": "https://storage.azure.com",
        "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
        "nbf": now - 60,
        "iat": now - 60,
        "exp": now + TOKEN_S,
        "tid": "ab1f708d-50f6-404c-a006-d71b2ac7a606",
        "oid": "7f1c5b9e-6f0e-4a36-9a51-95d8ad07a0b1",
    }
    return jwt.encode(claims, "0" * 32)


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate of this machine's address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.fromtimestamp(SystemClock().now(), dt.UTC)
    day = dt.timedelta(days=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private
