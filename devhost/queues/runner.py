"""How do the functions of queue triggers run, and what becomes of a message?

As in the extension of the Functions host, a message that is at work is hidden and its time is renewed. It is deleted
when its function returns. A message that failed is seen again, until it goes to the poison queue. The host hides a
message for a shorter time than the extension does, so that another host takes it soon after this one was killed.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final
from uuid import uuid4

from devhost.app.catalog import FunctionCatalog, FunctionMetadata
from devhost.app.queue_settings import QueueSettings
from devhost.console import log_line
from devhost.engine.background_tasks import BackgroundTasks
from devhost.queues.messages import MessageLostError, Queue, QueueMessage, QueueUnavailableError
from devhost.supervisor.messages import FunctionRaised, FunctionTimeoutError, Invocation, WorkerLostError
from devhost.supervisor.supervisor import Supervisor
from devhost.supervisor.tracing import next_span

HIDDEN_S: Final = 30.0
RENEWED_S: Final = 10.0
FIRST_PAUSE_S: Final = 0.1
DEFAULT_CONNECTION: Final = "AzureWebJobsStorage"
NO_LIBRARY: Final = "azure-storage-queue is not installed: pip install azure-storage-queue"

type OpenQueue = Callable[[str, str], Queue]
"""Opens a queue by its name and its connection; raises KeyError for a connection without settings."""


class QueueFunctions:
    def __init__(
        self, supervisor: Supervisor, settings: QueueSettings, tasks: BackgroundTasks, open_queue: OpenQueue
    ) -> None:
        self.supervisor = supervisor
        self.settings = settings
        self.tasks = tasks
        self.open_queue = open_queue

    def start(self, catalog: FunctionCatalog) -> None:
        for function in catalog.of_type("queueTrigger"):
            name = str(function.trigger["queueName"])
            connection = str(function.trigger.get("connection") or DEFAULT_CONNECTION)
            try:
                queue = self.open_queue(name, connection)
            except KeyError:
                log_line(f"warning: function {function.name} is not triggered: the setting {connection} is not set")
            except ImportError:
                log_line(f"warning: function {function.name} is not triggered: {NO_LIBRARY}")
            else:
                self.tasks.spawn(QueueListener(self, function, queue).run_forever())


class QueueListener:
    """Takes the messages of one queue, and runs a function with each."""

    def __init__(self, functions: QueueFunctions, function: FunctionMetadata, queue: Queue) -> None:
        self.settings = functions.settings
        self.supervisor = functions.supervisor
        self.tasks = functions.tasks
        self.function = function
        self.queue = queue
        self.running = 0
        self.has_room = asyncio.Event()
        self.has_failed = False

    async def run_forever(self) -> None:
        pause_s = FIRST_PAUSE_S
        try:
            while True:
                found = await self.take()
                for message in found:
                    self.running += 1
                    self.tasks.spawn(self.process(message))
                pause_s = FIRST_PAUSE_S if found else min(2 * pause_s, self.settings.max_polling_interval_s)
                await asyncio.sleep(0 if found else pause_s)
        finally:
            await self.queue.close()

    async def take(self) -> list[QueueMessage]:
        """Return the next messages when there is room for them."""
        while self.running > self.settings.new_batch_threshold:
            self.has_room.clear()
            await self.has_room.wait()
        try:
            found = await self.queue.take(self.settings.batch_size, hidden_s=HIDDEN_S)
        except QueueUnavailableError as error:
            if not self.has_failed:
                log_line(f"warning: the queue {self.queue.name} can't be read: {error}; trying again")
            self.has_failed = True
            return []
        self.has_failed = False
        return found

    async def process(self, message: QueueMessage) -> None:
        renewing = asyncio.ensure_future(self.renew(message))
        try:
            succeeded = await self.run(message)
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            self.running -= 1
            self.has_room.set()
        try:
            await self.complete(message, succeeded=succeeded)
        except (QueueUnavailableError, MessageLostError) as error:
            log_line(f"warning: the message {message.id} of {self.queue.name} is delivered again: {error}")

    async def complete(self, message: QueueMessage, *, succeeded: bool) -> None:
        if succeeded:
            await self.queue.delete(message)
        elif message.tries >= self.settings.max_dequeue_count:
            log_line(f"{self.queue.name}: message {message.id} goes to the poison queue after {message.tries} tries")
            await self.queue.poison(message)
        else:
            await self.queue.hide(message, hidden_s=self.settings.visibility_timeout_s)

    async def renew(self, message: QueueMessage) -> None:
        while True:
            await asyncio.sleep(RENEWED_S)
            with suppress(QueueUnavailableError, MessageLostError):
                await self.queue.hide(message, hidden_s=HIDDEN_S)

    async def run(self, message: QueueMessage) -> bool:
        """Return whether the function returned; it gets no message that came too often or can't be decoded."""
        content = message.content(is_base64=self.settings.is_base64)
        if content is None or message.tries > self.settings.max_dequeue_count:
            message.tries = max(message.tries, self.settings.max_dequeue_count)
            return False
        try:
            result = await self.supervisor.invoke(self.invocation(message, content))
        except (WorkerLostError, FunctionTimeoutError) as error:
            log_line(f"queue {self.function.name}: {error or type(error).__name__}")
            return False
        if isinstance(result, FunctionRaised):
            log_line(f"queue {self.function.name} failed: {result.message}\n{result.stack}")
        return not isinstance(result, FunctionRaised)

    def invocation(self, message: QueueMessage, content: bytes) -> Invocation:
        return Invocation(
            id=str(uuid4()),
            function_id=self.function.id,
            description=f"queue {self.function.name}",
            type="string" if is_text(content) else "bytes",
            trace=next_span(None),
            body=content,
            metadata=message.metadata(self.queue.name),
        )


def queue_opener(environment: Mapping[str, str]) -> OpenQueue:
    def opened(name: str, connection: str) -> Queue:
        from devhost.queues.storage_queue import open_queue  # noqa: PLC0415 - its SDK is optional, and slow to import

        return open_queue(name, connection, environment)

    return opened


def is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
