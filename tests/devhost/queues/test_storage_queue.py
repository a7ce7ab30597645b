"""Does the host tell a queue that is missing, and a message that is lost, from a service that is down?"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from devhost.queues.messages import MessageLostError, QueueMessage, QueueUnavailableError
from devhost.queues.storage_queue import StorageQueue, open_queue

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
MESSAGE = QueueMessage(id="m1", text="", tries=1, receipt="r", inserted="", expires="", visible="")


@asynccontextmanager
async def refusing(status: int, code: str) -> AsyncGenerator[StorageQueue]:
    """Serve a queue of a service that answers every request, of the official SDK, with an error of Azure Storage."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} Refused\r\nx-ms-error-code: {code}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        writer.write(head.encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        address = f"QueueEndpoint=http://127.0.0.1:{port}/account"
        account = f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={KEY};{address}"
        queue = open_queue("orders", "ORDERS", {"AzureWebJobsORDERS": account})
        try:
            yield queue
        finally:
            await queue.close()


async def test_a_queue_that_does_not_exist_has_no_message() -> None:
    async with refusing(404, "QueueNotFound") as queue:
        assert await queue.take(1, hidden_s=30) == []


@pytest.mark.parametrize(("status", "code"), [(404, "MessageNotFound"), (400, "PopReceiptMismatch")])
async def test_a_message_that_another_has_taken_is_lost(status: int, code: str) -> None:
    async with refusing(status, code) as queue:
        with pytest.raises(MessageLostError, match=f"^{code}$"):
            await queue.delete(MESSAGE)


@pytest.mark.parametrize("code", ["AuthenticationFailed", "SomethingNew"])
async def test_any_other_error_is_told_by_its_code(code: str) -> None:
    async with refusing(403, code) as queue:
        with pytest.raises(QueueUnavailableError, match=f"^{code}$"):
            await queue.take(1, hidden_s=30)
