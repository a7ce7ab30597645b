"""How does the server run the calls of one round side by side, in one step?"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from activities.routing.gpu_pause import GpuPauses
from activities.routing.request_size import NOTHING
from domain import wire
from domain.call_wire import CalledToolsWire, CallToolsWire
from domain.errors import GanglionError, NoResponse

log = logging.getLogger("ganglion.activities")


class CallTools:
    """Runs several calls at once. A repeat is safe: each call has its own record, and its own end in the log.

    `run` is the step that runs a single one. The turn's GPU is not paid for while long calls run, see `GpuPauses`.
    """

    def __init__(
        self, run: Callable[[wire.CallToolWire], Awaitable[wire.CalledToolWire]], pauses: GpuPauses | None = None
    ) -> None:
        self.run = run
        self.pauses = pauses

    async def call_one(self, request: wire.CallToolWire) -> wire.CalledToolWire:
        """Run a single call, or look at one that runs as a task of its server."""
        if self.pauses is None or request.get("looks"):
            return await self.run(request)
        return await self.pauses.around(request, [request["call"]], lambda: self.run(request))

    async def call(self, request: CallToolsWire) -> CalledToolsWire:
        """Run the calls together, or look at those that run as tasks of their servers."""
        if self.pauses is None or request.get("looks"):
            return await self.call_all(request)
        return await self.pauses.around(request, request["calls"], lambda: self.call_all(request))

    async def call_all(self, request: CallToolsWire) -> CalledToolsWire:
        """Run the calls, and return how each of them ended; None for one that the caller has to repeat alone.

        An unexpected error is raised when all calls have ended: no call goes on unseen.
        """
        runs = [asyncio.create_task(self.tried(single(request, call))) for call in request["calls"]]
        try:
            await asyncio.wait(runs)
            return {"calls": [run.result() for run in runs]}
        finally:
            for run in runs:
                run.cancel()

    async def tried(self, request: wire.CallToolWire) -> wire.CalledToolWire | None:
        try:
            return await self.run(request)
        except NoResponse:
            return {"outcome": "ended", "added": NOTHING}
        except GanglionError as error:
            log.warning("%s: a tool call failed: %s: %s", request["response"], type(error).__name__, error)
            return None


def single(request: CallToolsWire, call: str) -> wire.CallToolWire:
    one: wire.CallToolWire = {
        "tenant": request["tenant"],
        "subject": request["subject"],
        "response": request["response"],
        "traceparent": request["traceparent"],
        "call": call,
    }
    return {**one, "looks": True} if request.get("looks") else one
