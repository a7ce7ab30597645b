"""Does each check of the blob storage name its fault alone?"""

from collections.abc import Callable

import pytest
from azure.core.exceptions import HttpResponseError

from clients.azure_storage.account import error_of
from clients.azure_storage.blob_contents import NO_CONTAINER
from clients.storage.port import DocumentKey
from domain.errors import ConfigurationError
from settings import Settings
from tests.fakes.contents import MemoryContents
from tests.ganglion.doctor.faults import (
    Break,
    addresses,
    check_that_names_alone,
    found,
    setting,
    unreachable,
)
from tests.ganglion.doctor.harness import PUBLIC, Case


class RefusingContents(MemoryContents):
    """Refuses what is written, as Azure Storage does: there is no container, or no role."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__()
        self.status = status
        self.code = code

    async def write(self, key: DocumentKey, number: int, content: bytes) -> None:
        refused = HttpResponseError(f"{key.parts} {number} {len(content)}")
        refused.status_code, refused.error_code = self.status, self.code  # pyright: ignore[reportAttributeAccessIssue] - as the SDK does
        raise error_of(refused, "The blob storage")


def refusing_blobs(status: int, code: str) -> Callable[[Case], None]:
    def inject(case: Case) -> None:
        case.outside.contents = RefusingContents(status, code)

    return inject


def no_letters(case: Case) -> None:
    case.outside.letters = "the container letters rejected the request: ContainerNotFound."


class AbsentLibrary(MemoryContents):
    """Is imported at the first use, and not there: the package was built without it."""

    async def write(self, key: DocumentKey, number: int, content: bytes) -> None:
        raise ModuleNotFoundError(f"No module named 'azure.storage': {key.parts} {number} {len(content)}")


FAULTS: dict[str, Break] = {
    "blobs.body_size": setting("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "104857600"),
    "blobs.reach": unreachable("files.blob.core.windows.net"),
    "blobs.container": refusing_blobs(404, NO_CONTAINER),
    "blobs.access": refusing_blobs(403, "AuthorizationPermissionMismatch"),
    "sources.blobs": no_letters,
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    assert await check_that_names_alone(case, FAULTS[name]) == name


async def test_a_file_of_the_doctor_is_gone_afterwards(case: Case) -> None:
    assert await found(case) == {}
    assert (case.outside.contents.blocks, case.outside.contents.whole) == ({}, {})


async def test_a_package_without_the_libraries_of_the_blob_storage_is_named(case: Case) -> None:
    case.outside.contents = AbsentLibrary()
    ((name, (text,)),) = (await found(case)).items()
    assert (name, text.partition(";")[0]) == (
        "blobs.access",
        "GANGLION_BLOB_URL: azure-storage-blob is not installed",
    )


async def test_a_local_setting_of_the_blob_storage_is_named(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def local(_: object, _settings: Settings) -> MemoryContents:
        raise ConfigurationError(("GANGLION_STORAGE_TOKEN: is for local use only; remove it",))

    monkeypatch.setattr(type(case.outside), "files", local)
    assert await found(case) == {"blobs.access": ["GANGLION_STORAGE_TOKEN: is for local use only; remove it"]}


async def test_a_public_address_of_the_blob_storage_is_named(case: Case) -> None:
    addresses("files.blob.core.windows.net", PUBLIC)(case)
    ((text,),) = (await found(case)).values()
    assert text.startswith(f"files.blob.core.windows.net resolves to the public address {PUBLIC}")
