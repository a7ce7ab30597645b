"""How does a test get an Azure Storage account? Azurite serves one over TLS, and asks for Microsoft Entra tokens."""

import datetime as dt
import ipaddress
import re
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Final

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clients.azure_storage.account import StorageIdentity
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
