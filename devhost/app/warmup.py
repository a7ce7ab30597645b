"""What runs first when the host starts: the app's warm-up, if it has one."""

import asyncio
from uuid import uuid4

from devhost.app.catalog import Catalog, Function
from devhost.console import say
from devhost.supervisor.messages import Invocation, Raised, TimedOutError, WorkerLostError
from devhost.supervisor.supervisor import Supervisor
from devhost.supervisor.tracing import next_trace

LONGEST_S = 10.0


async def warm_up(supervisor: Supervisor, catalog: Catalog) -> None:
    """A warm-up that fails or takes too long is told of and holds nothing up."""
    for function in catalog.of_type("warmupTrigger"):
        failed = await outcome(supervisor, function)
        if failed is not None:
            say(f"warm-up {function.name} failed: {failed}")


async def outcome(supervisor: Supervisor, function: Function) -> str | None:
    """What went wrong."""
    invocation = Invocation(
        id=str(uuid4()),
        function_id=function.id,
        what=f"warm-up {function.name}",
        type="json",
        trace=next_trace(None),
        body=b"{}",
    )
    try:
        answer = await asyncio.wait_for(supervisor.invoke(invocation), LONGEST_S)
    except TimeoutError:
        return f"it still runs after {LONGEST_S:g} s"
    except (WorkerLostError, TimedOutError):
        return "its worker ended"
    return f"{answer.message}\n{answer.stack}" if isinstance(answer, Raised) else None
