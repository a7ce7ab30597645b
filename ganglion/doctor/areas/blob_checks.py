"""Can the application keep large files in its blob storage, and read the blobs of its sources?"""

from collections.abc import AsyncIterator, Iterator
from typing import Final

from clients.azure_storage.blob_contents import NO_CONTAINER
from clients.files.port import FileContents
from clients.storage.port import Container, DocumentKey
from composition.azure_storage import INSTALL, blob_sources
from domain.errors import ConfigurationError, GanglionError
from ganglion.doctor.areas.backend_checks import connects, endpoint, resolves
from ganglion.doctor.findings import Fault, error, warning
from ganglion.doctor.subject import NotRunError, Subject

BODY_LIMIT: Final = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
NEEDED_BYTES: Final = 220_200_960
"""The largest file, with room for the parts around it: 210 MiB."""

TEXT: Final = b"doctor"
OWNER: Final = ("doctor", "doctor")
CREATE: Final = "az storage container create --auth-mode login --account-name ACCOUNT --name"
GRANT: Final = (
    "az role assignment create --role 'Storage Blob Data Contributor' --assignee-object-id PRINCIPAL "
    "--assignee-principal-type ServicePrincipal --scope ID_OF_THE_CONTAINER"
)

NOT_SET: Final = "GANGLION_BLOB_URL is not set: the store keeps all files"


def body_size(subject: Subject) -> Iterator[Fault]:
    """Compare what the host reads of a request with the largest file."""
    subject.needs_azure()
    if not subject.settings.blob_url:
        raise NotRunError(NOT_SET)
    given = subject.variables.get(BODY_LIMIT, "")
    if not given.isdecimal() or int(given) < NEEDED_BYTES:
        text = f"{BODY_LIMIT} is {given or 'not set'}: the host refuses files of more than 100 MB"
        yield warning(text, subject.set_command(BODY_LIMIT, str(NEEDED_BYTES)))


async def reach(subject: Subject) -> AsyncIterator[Fault]:
    if not subject.settings.blob_url:
        raise NotRunError(NOT_SET)
    host, port = endpoint(subject.settings.blob_url)
    problem = await resolves(subject, host) or await connects(subject, host, port)
    if problem:
        yield error(f"GANGLION_BLOB_URL: {host}:{port} cannot be reached: {problem}", f"nslookup {host}")


async def container(subject: Subject) -> AsyncIterator[Fault]:
    try:
        problem = await attempt(subject)
    except (ImportError, ConfigurationError):
        raise NotRunError("correct the error of blobs.access first") from None
    if NO_CONTAINER in problem:
        name = subject.settings.blob_container
        yield error(f"the container {name} of GANGLION_BLOB_URL does not exist", f"{CREATE} {name}")


async def access(subject: Subject) -> AsyncIterator[Fault]:
    """Write a file, read it and delete it, as the application does with its own identity."""
    try:
        problem = await attempt(subject)
    except ImportError:
        yield error(f"GANGLION_BLOB_URL: azure-storage-blob {INSTALL}", "make package STORAGE=1")
        return
    except ConfigurationError as local:
        yield error(str(local), subject.remove_command(str(local).partition(":")[0]))
        return
    if NO_CONTAINER in problem:
        raise NotRunError("correct the error of blobs.container first")
    if problem:
        yield error(f"files cannot be kept in GANGLION_BLOB_URL: {problem}", GRANT)


async def sources(subject: Subject) -> AsyncIterator[Fault]:
    """Read the properties of each container that sources read blobs of, with the rights of the application."""
    read = blob_sources(subject.sources)
    if not read:
        raise NotRunError("no source of the kind blob is enabled")
    for source in read:
        for name in source.target:
            try:
                problem = await subject.outside.container_problem(subject.settings, source.address, name)
            except ImportError:
                yield error(f"sources.{source.name}: azure-storage-blob {INSTALL}", "make package STORAGE=1")
                return
            if problem:
                yield error(f"sources.{source.name}.target: {problem}", GRANT.replace("Contributor", "Reader"))


async def attempt(subject: Subject) -> str:
    """Return what goes wrong with a small file; empty where nothing does.

    Raises ImportError without the libraries, and ConfigurationError for settings that are for local use only.
    """
    async for _ in reach(subject):
        raise NotRunError("the blob storage cannot be reached: see blobs.reach")
    contents = subject.outside.files(subject.settings)
    if contents is None:
        raise NotRunError(NOT_SET)
    key = DocumentKey(container=Container.TURNS, parts=(*OWNER, f"doctor_{subject.target.now:.6f}"))
    try:
        return "" if await kept(contents, key) == TEXT else "it returns other bytes than were written"
    except GanglionError as problem:
        return str(problem)
    finally:
        await contents.close()


async def kept(contents: FileContents, key: DocumentKey) -> bytes:
    """Write a file, and return what is read of it before it is deleted."""
    await contents.write(key, 0, TEXT)
    await contents.complete(key, 1)
    read = b"".join([piece async for piece in contents.read(key, 0, len(TEXT))])
    await contents.delete(key)
    return read
