"""How do checks look at services outside the process?"""

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from clients.backends.credentials import HttpCall
from clients.backends.images import NoImages
from clients.backends.port import BackendClient
from clients.backends.predictions.client import backend_client
from clients.clock import Clock
from clients.files.port import FileContents
from clients.identity.backend_credentials import BackendCredentials
from clients.identity.discovery import IssuerDiscovery
from clients.storage.port import DocumentStore
from composition.production import document_store, large_files
from domain.fleet.catalog import Backend
from domain.identity.access_tokens import TokenIssuer
from settings import Settings

TIMEOUT_S = 8.0
CLI_TIMEOUT_S = 60.0
CHUNK = 2**16
PLAIN = {"accept-encoding": "identity"}
ANSWER_LIMIT = 4 * 2**20
"""Bytes. No answer that a check reads is a tenth as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """The command line of a cloud, and the page that says how it is installed."""

    program: str
    name: str
    page: str


AZ = CommandLine(program="az", name="Azure CLI", page="https://learn.microsoft.com/cli/azure/install-azure-cli")
GCLOUD = CommandLine(program="gcloud", name="Google Cloud CLI", page="https://cloud.google.com/sdk/docs/install")


class UnreachableError(Exception):
    """A service did not answer; the message says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""


class Outside(Protocol):
    """The services that checks ask. Each call ends within seconds; raises UnreachableError."""

    async def resolve(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a host name."""
        ...

    async def connect(self, host: str, port: int) -> None:
        """Open and close a connection."""
        ...

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer: ...

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer: ...

    async def credentials(self, settings: Settings, backend: Backend, url: str) -> Mapping[str, str]:
        """Return the authentication headers of a request to a backend. Raises BackendError."""
        ...

    def model(self, settings: Settings, backend: Backend) -> AbstractAsyncContextManager[BackendClient]:
        """Open the product's client of a backend."""
        ...

    async def issuer_keys(self, discovery: IssuerDiscovery, issuer: TokenIssuer) -> None:
        """Fetch the signing keys of an issuer. Raises Unavailable."""
        ...

    async def containers(self, settings: Settings) -> Mapping[str, Mapping[str, Any] | None]:
        """Return the properties of each container of the Cosmos DB store, None where it does not exist."""
        ...

    async def consistency(self, settings: Settings) -> str:
        """Return the default consistency of the Cosmos DB account."""
        ...

    def store(self, settings: Settings) -> DocumentStore:
        """Return the application's store."""
        ...

    def files(self, settings: Settings) -> FileContents | None:
        """Return where the application keeps large files; None without GANGLION_BLOB_URL."""
        ...

    async def container_problem(self, settings: Settings, address: str, container: str) -> str:
        """Return why a container of Azure Storage can't be read; empty where it can. Raises ImportError."""
        ...

    async def azure(self, *command: str) -> Any:
        """Return the JSON that `az` answers, with the rights of the person who is signed in."""
        ...

    async def google(self, *command: str) -> Any:
        """Return the JSON that `gcloud` answers, with the rights of the person who is signed in."""
        ...

    async def pause(self, seconds: float) -> None:
        """Wait before a service is asked again."""
        ...


class RealOutside:
    """The real services, as the application reaches them: without a proxy of the environment."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    async def resolve(self, host: str) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError) as error:
            raise UnreachableError(str(error) or "no answer in time") from None
        return tuple(sorted({str(address[0]) for *_, address in found}))

    async def connect(self, host: str, port: int) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            raise UnreachableError(str(error) or "no answer in time") from None
        writer.close()

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await request("GET", url, headers=headers or {})

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        return await request("POST", url, headers=headers, content=content)

    async def credentials(self, settings: Settings, backend: Backend, url: str) -> Mapping[str, str]:
        return await self.own_credentials(settings).header(backend, HttpCall(method="GET", url=url))

    def own_credentials(self, settings: Settings) -> BackendCredentials:
        return BackendCredentials(
            federation=settings.federation,
            aws=settings.aws,
            variables=settings.variables,
            clock=self.clock,
            client_id=settings.identity_client_id,
        )

    @asynccontextmanager
    async def model(self, settings: Settings, backend: Backend) -> AsyncGenerator[BackendClient]:
        credentials = self.own_credentials(settings)
        async with httpx.AsyncClient(trust_env=False) as http:
            yield backend_client(backend, http, silence_s=TIMEOUT_S, credentials=credentials, images=NoImages())

    async def issuer_keys(self, discovery: IssuerDiscovery, issuer: TokenIssuer) -> None:
        await discovery.keys(issuer)

    async def containers(self, settings: Settings) -> Mapping[str, Mapping[str, Any] | None]:
        from ganglion.doctor.cosmos import read_containers  # noqa: PLC0415 - its SDK takes half a second to import

        return await read_containers(settings, now=self.clock.now())

    async def consistency(self, settings: Settings) -> str:
        from ganglion.doctor.cosmos import read_consistency  # noqa: PLC0415 - as above

        return await read_consistency(settings, now=self.clock.now())

    def store(self, settings: Settings) -> DocumentStore:
        return document_store(settings, self.clock)

    def files(self, settings: Settings) -> FileContents | None:
        return large_files(settings, self.clock)

    async def container_problem(self, settings: Settings, address: str, container: str) -> str:
        from clients.azure_storage.account import storage_identity  # noqa: PLC0415 - its imports are slow, and few apps need them
        from clients.azure_storage.blob_source import container_problem  # noqa: PLC0415 - as above

        return await container_problem(address, container, storage_identity(settings.variables), self.clock.now())

    async def azure(self, *command: str) -> Any:
        return await asyncio.to_thread(az_json, *command)

    async def google(self, *command: str) -> Any:
        return await asyncio.to_thread(cli_json, GCLOUD, *command, "--format=json")

    async def pause(self, seconds: float) -> None:
        await self.clock.sleep(seconds)


def az_json(*command: str) -> Any:
    """Return what the Azure CLI answers; raises UnreachableError where it is missing or refuses."""
    return cli_json(AZ, *command, "--output", "json")


def cli_json(cli: CommandLine, *command: str) -> Any:
    """Return the JSON that a cloud's command line answers; raises UnreachableError where it is missing or refuses."""
    program = shutil.which(cli.program)
    if program is None:
        raise UnreachableError(f"the {cli.name} is missing: {cli.page}")
    called = f"{cli.program} {' '.join(command[:2])}"
    try:
        done = subprocess.run(  # noqa: S603 - the command is ours
            (program, *command), capture_output=True, text=True, check=False, timeout=CLI_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise UnreachableError(f"{called} did not answer in {CLI_TIMEOUT_S:g} s") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason"])[-1]
        raise UnreachableError(f"{called} failed: {reason}")
    return json.loads(done.stdout or "null")


async def request(method: str, url: str, **options: Any) -> Answer:
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S, headers=PLAIN) as http,
            http.stream(method, url, **options) as answer,
        ):
            body = await beginning_of(answer)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise UnreachableError(str(error) or "no answer in time") from None
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(status=answer.status_code, headers=headers, body=body)


async def beginning_of(answer: httpx.Response) -> bytes:
    """Return at most ANSWER_LIMIT bytes of an answer; raises UnreachableError where it is packed or longer."""
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise UnreachableError("the answer is packed, although nobody asked for that")
    body = b""
    async for chunk in answer.aiter_raw(CHUNK):
        body += chunk
        if len(body) > ANSWER_LIMIT:
            raise UnreachableError(f"the answer is longer than {ANSWER_LIMIT // 2**20} MiB")
    return body
