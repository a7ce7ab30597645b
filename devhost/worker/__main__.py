"""How does the worker process load the app and answer the host?

The app's folders are added to the import path after this program's modules are loaded and its folder is removed.
"""

import asyncio
import importlib
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

from devhost.console import AppLogFormatter
from devhost.frames import Header, Pipe
from devhost.worker import protos
from devhost.worker.messages import (
    BoundFunction,
    bound_from_bindings,
    request_from_header,
    result_from_response,
    unexpected_error,
)
from devhost.worker.timers import warn_of_timers_with_offsets
from devhost.worker.timestamps import use_fast_timestamp_reader

UVICORN_START_S = 10.0


class Worker:
    def __init__(self, *, library: Any, app: str, ended: asyncio.Event) -> None:
        self.library = library
        self.pipe = Pipe(self.on_frame, ended.set)
        self.functions: dict[str, BoundFunction] = {}
        self.client = ""
        self.app = app
        self.running: set[asyncio.Task[None]] = set()

    def on_frame(self, header: Header, body: bytes) -> None:
        if header["kind"] == "init":
            self.client = header["client"]
        else:
            self.spawn(self.invoke(header, body))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    async def load(self) -> None:
        self.library.start_threadpool_executor()
        init_request = SimpleNamespace(capabilities={}, function_app_directory=self.app)
        request = SimpleNamespace(
            request=SimpleNamespace(worker_init_request=init_request),
            properties={"host": "127.0.0.1", "protos": protos},
        )
        response = await self.library.worker_init_request(request)
        if response.result.status != protos.StatusResult.Success:
            failure = response.result.exception
            self.pipe.send({"kind": "failed", "message": failure.message, "stack": failure.stack_trace})
            return
        await self.send_functions(response.capabilities, request)

    async def send_functions(self, capabilities: dict[str, str], request: SimpleNamespace) -> None:
        use_fast_timestamp_reader()
        warn_of_timers_with_offsets()
        metadata = await self.library.functions_metadata_request(request)
        found: list[Any] = metadata.function_metadata_results or []
        functions = [self.describe(one) for one in found]
        self.functions = {one["id"]: bound_from_bindings(one["bindings"]) for one in functions}
        uri = capabilities.get("HttpUri")
        if uri:
            await wait_until_listening(uri)
            logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
        self.pipe.send({"kind": "ready", "http": uri, "functions": functions})

    @staticmethod
    def describe(metadata: Any) -> dict[str, Any]:
        bindings = [json.loads(text) for text in metadata.raw_bindings]
        return {"name": metadata.name, "id": metadata.function_id, "bindings": bindings}

    async def invoke(self, header: Header, body: bytes) -> None:
        if header["type"] == "http":
            self.pipe.send({"kind": "begun", "id": header["id"]})
            await self.pipe.flushed()
        try:
            request = request_from_header(header, body, self.functions[header["function"]], self.client)
            response = await self.library.invocation_request(request)
            result = result_from_response(header["id"], response)
        except Exception as error:  # noqa: BLE001 - the entry point of every invocation: the host waits for an answer
            result = unexpected_error(header["id"], error)
        self.pipe.send(*result)


async def wait_until_listening(uri: str) -> None:
    """The app's own HTTP server starts in the background."""
    host, port = uri.removeprefix("http://").rsplit(":", 1)
    async with asyncio.timeout(UVICORN_START_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.005)
            else:
                writer.close()
                return


def exit_with_host(lifeline: int) -> None:
    """Blocks until the host's end of the pipe is closed, then ends the process, even while the app is busy."""
    os.read(lifeline, 1)
    os._exit(0)


def configure_logging() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(AppLogFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn.error").addFilter(is_warning)  # uvicorn sets the level itself, and keeps the filter
    for noisy in ("azure.functions", "azure_functions_runtime", "azure.core.pipeline.policies.http_logging_policy"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def is_warning(record: logging.LogRecord) -> bool:
    """Tell whether a record is worth a line: the worker's inner address, which uvicorn announces, misleads a reader."""
    return record.levelno >= logging.WARNING


async def serve(channel: socket.socket, app: str) -> None:
    os.chdir(app)
    sys.path[0:1] = []
    sys.path.append(app)
    ended = asyncio.Event()
    worker = Worker(library=importlib.import_module("azure_functions_runtime"), app=app, ended=ended)
    await asyncio.get_running_loop().create_unix_connection(lambda: worker.pipe, sock=channel)
    worker.spawn(worker.load())
    await ended.wait()
    os._exit(0)


def main() -> None:
    channel_fd, lifeline_fd, app = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    os.set_inheritable(lifeline_fd, False)
    os.set_inheritable(channel_fd, False)
    threading.Thread(target=exit_with_host, args=(lifeline_fd,), daemon=True).start()
    configure_logging()
    channel = socket.socket(fileno=channel_fd)
    channel.setblocking(False)
    asyncio.run(serve(channel, app))


if __name__ == "__main__":
    main()
