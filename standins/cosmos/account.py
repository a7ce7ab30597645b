"""Which files make up a local Cosmos DB account? Its certificates, its key and the journal of writes.

The CA signs one certificate, for this machine only, and its own key is never stored.
"""

import base64
import ipaddress
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from standins.clock import now
from standins.processes.http_server import HOST

LIFETIME = timedelta(days=3650)
KEY_BYTES = 64
AUDIENCES = (f"https://{HOST}", "https://cosmos.azure.com")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFiles:
    """`authority` is the CA's certificate; `certificate` holds the server's key and certificate in one file."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def certificate(self) -> Path:
        return self.folder / "server.pem"

    @property
    def journal(self) -> Path:
        return self.folder / "journal.jsonl"

    @property
    def key_file(self) -> Path:
        return self.folder / "account.key"

    @property
    def key(self) -> str:
        """Gives the account's key, which signs requests and permits everything."""
        return self.key_file.read_text().strip()


def account_in(data: Path) -> AccountFiles:
    """Opens the account in `data`/cosmos; creates its key and certificates the first time."""
    account = AccountFiles(folder=data / "cosmos")
    account.folder.mkdir(parents=True, exist_ok=True)
    if not account.key_file.exists():
        write(account.key_file, base64.b64encode(secrets.token_bytes(KEY_BYTES)))
    if not account.certificate.exists() or not account.authority.exists():
        make_certificates(account)
    return account


def make_certificates(account: AccountFiles) -> None:
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = signed(authority_builder(authority_key.public_key()), authority_key)
    server = signed(server_builder(server_key.public_key(), authority), authority_key)
    private = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write(account.certificate, private + pem(server))
    write(account.authority, pem(authority))


def write(path: Path, data: bytes) -> None:
    """Writes a file of mode 600 atomically."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    temporary.touch(mode=0o600)
    temporary.write_bytes(data)
    temporary.replace(path)


def signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    start = datetime.fromtimestamp(now(), tz=UTC) - timedelta(minutes=5)
    dated = builder.not_valid_before(start).not_valid_after(start + LIFETIME)
    return dated.serial_number(x509.random_serial_number()).sign(key, hashes.SHA256())


def authority_builder(key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    rights = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        builder_for(key, subject="Ganglion local CA", issuer="Ganglion local CA")
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(rights, critical=True)
    )


def server_builder(key: ec.EllipticCurvePublicKey, authority: x509.Certificate) -> x509.CertificateBuilder:
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST)), x509.DNSName("localhost")])
    issuer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        builder_for(key, subject=HOST, issuer="Ganglion local CA")
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
    )


def builder_for(key: ec.EllipticCurvePublicKey, *, subject: str, issuer: str) -> x509.CertificateBuilder:
    identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
    return builder.public_key(key).add_extension(identifier, critical=False)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
