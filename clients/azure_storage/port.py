"""What must a storage be able to do that takes the answers of pipelines?"""

from typing import Protocol


class AnswerStorage(Protocol):
    """Addresses are those of queues and containers. Every method raises Retryable and Terminal."""

    async def put_message(self, queue: str, text: str) -> None:
        """Add a message. A repeated call adds it again."""
        ...

    async def put_blob(self, container: str, name: str, content: bytes) -> None:
        """Create a blob, unless there is one of this name."""
        ...


class NoStorage:
    """Takes nothing: no pipeline has such a sink."""

    async def put_message(self, queue: str, text: str) -> None:
        raise NotImplementedError(queue)

    async def put_blob(self, container: str, name: str, content: bytes) -> None:
        raise NotImplementedError(container)
