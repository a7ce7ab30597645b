"""What does the adapter of Azure Storage make of answers that Azurite never gives? The SDK reads them."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Self

import pytest
from azure.core.pipeline.transport import AsyncHttpResponse, AsyncHttpTransport
from azure.storage.blob.aio import ContainerClient

from clients.azure_storage import answers as answers_module
from clients.azure_storage.account import StorageIdentity
from clients.azure_storage.answers import AzureAnswers
from clients.azure_storage.blob_contents import BlobContents
from clients.local_azure import LocalToken
from clients.storage.keys import turns_key
from domain.errors import Terminal, Unavailable
from tests.fakes.clocks import FakeClock
from tests.fakes.worlds import OWNER

URL = "https://shop.blob.core.windows.net"
IDENTITY = StorageIdentity(token="of a test")
KEY = turns_key(OWNER, "a" * 24)
CREATED = (201, "")


class Answer(AsyncHttpResponse):
    """An answer with a status, and a code where it is an error."""

    def __init__(self, request: Any, status: int, code: str) -> None:
        super().__init__(request, None)
        self.status_code, self.reason = status, code
        self.content_type = "application/xml"
        self.headers = {"content-type": self.content_type, **({"x-ms-error-code": code} if code else {})}
        self.text_of = f"<Error><Code>{code}</Code><Message>no</Message></Error>" if code else ""

    def body(self) -> bytes:
        return self.text_of.encode()


class Service(AsyncHttpTransport[Any, Any]):
    """Answers requests in turn; `asked` has their methods."""

    def __init__(self, given: Sequence[tuple[int, str]]) -> None:
        self.given = list(given)
        self.asked = list[str]()

    async def send(self, request: Any, **_options: Any) -> Answer:
        self.asked.append(request.method)
        status, code = self.given.pop(0)
        return Answer(request, status, code)

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None: ...


def contents(service: Service) -> BlobContents:
    known = BlobContents(URL, "files", IDENTITY, FakeClock())
    known.credential = LocalToken(IDENTITY.token, 2**40)
    known.opened = ContainerClient(URL, "files", credential=known.credential, transport=service, retry_total=0)
    return known


async def test_blocks_that_were_deleted_before_the_end_are_uploaded_again() -> None:
    with pytest.raises(Unavailable, match="were deleted while it was uploaded"):
        await contents(Service([(400, "InvalidBlockList")])).complete(KEY, 1)


async def test_the_code_of_a_refused_request_is_said_in_the_words_of_the_service() -> None:
    with pytest.raises(Terminal, match=r"rejected the request: RequestBodyTooLarge\.$"):
        await contents(Service([(413, "RequestBodyTooLarge")])).write(KEY, 0, b"x")


async def test_two_processes_delete_one_content() -> None:
    service = Service([(404, "BlobNotFound"), CREATED, (404, "BlobNotFound")])
    await contents(service).delete(KEY)
    assert service.asked == ["DELETE", "PUT", "DELETE"]


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Service]:
    known = Service([])

    def options(_identity: StorageIdentity) -> dict[str, Any]:
        return {"transport": known, "retry_total": 0}

    monkeypatch.setattr(answers_module, "client_options", options)
    yield known
    assert known.given == []


async def test_an_answer_that_is_there_already_has_arrived(service: Service) -> None:
    service.given = [(409, "BlobAlreadyExists")]
    await AzureAnswers(IDENTITY, FakeClock()).put_blob(f"{URL}/answers", "tickets/1.json", b"{}")


async def test_an_answer_has_not_arrived_where_its_container_is_being_deleted(service: Service) -> None:
    service.given = [(409, "ContainerBeingDeleted")]
    with pytest.raises(Terminal, match="ContainerBeingDeleted"):
        await AzureAnswers(IDENTITY, FakeClock()).put_blob(f"{URL}/answers", "tickets/1.json", b"{}")
