"""How is a turn cancelled when its caller hangs up on the stream, if the caller asked for that?"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from azurefunctions.extensions.http.fastapi import Request

from clients.orchestrations import Orchestrations
from domain.errors import GanglionError, NotFound
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from state.turns.responses import TurnStore

log = logging.getLogger("ganglion.api")


class Cancellations:
    """Ends running turns as cancelled, for callers who ask for it or hang up."""

    def __init__(self, turns: TurnStore, open_orchestrations: Callable[[Any], Orchestrations]) -> None:
        self.turns = turns
        self.open_orchestrations = open_orchestrations
        self.tasks: set[asyncio.Task[None]] = set()

    async def cancel(self, response: Response, client: Any) -> Response:
        """Return the ended response, which may have ended in another way before."""
        ended = await self.turns.finish(response.owner, response.id, status=ResponseStatus.CANCELLED)
        if ended.status is ResponseStatus.CANCELLED:
            await self.open_orchestrations(client).signal_cancelled(response.id)
        return ended

    async def on_disconnect(
        self, stream: AsyncIterator[bytes], request: Request, response: Response, client: Any
    ) -> AsyncIterator[bytes]:
        """Yield the stream, and cancel the turn when the caller hangs up before its end.

        The server closes the stream then. It does the same when it shuts down, which must not cancel a turn: so the
        connection is looked at. The task that cancels outlives the request, whose own task is being cancelled.
        """
        try:
            async for part in stream:
                yield part
        except (GeneratorExit, asyncio.CancelledError):
            task = asyncio.create_task(self.cancel_if_gone(request, response, client))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            raise

    async def cancel_if_gone(self, request: Request, response: Response, client: Any) -> None:
        if not await request.is_disconnected():
            return
        with suppress(NotFound):
            try:
                await self.cancel(response, client)
            except GanglionError as error:
                log.warning(
                    "%s could not be cancelled after its caller disconnected: %s", response.id, type(error).__name__
                )
