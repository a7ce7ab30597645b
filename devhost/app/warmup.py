"""How does the app's warm-up trigger run when the host starts?"""

import asyncio
from uuid import uuid4

from devhost.app.catalog import FunctionCatalog, FunctionMetadata
from devhost.console import log_line
from devhost.supervisor.messages import FunctionRaised, FunctionTimeoutError, Invocation, WorkerLostError
from devhost.supervisor.supervisor import Supervisor
from devhost.supervisor.tracing import next_span

WARMUP_TIMEOUT_S = 10.0


async def warm_up(supervisor: Supervisor, catalog: FunctionCatalog) -> None:
    """Runs every warm-up function. A failure or a timeout is logged and does not stop the start."""
    for function in catalog.of_type("warmupTrigger"):
        failed = await run_warmup(supervisor, function)
        if failed is not None:
            log_line(f"warm-up {function.name} failed: {failed}")


async def run_warmup(supervisor: Supervisor, function: FunctionMetadata) -> str | None:
    """Returns the reason of a failure, or None."""
    invocation = Invocation(
        id=str(uuid4()),
        function_id=function.id,
        description=f"warm-up {function.name}",
        type="json",
        trace=next_span(None),
        body=b"{}",
    )
    try:
        result = await asyncio.wait_for(supervisor.invoke(invocation), WARMUP_TIMEOUT_S)
    except TimeoutError:
        return f"timed out after {WARMUP_TIMEOUT_S:g} s"
    except (WorkerLostError, FunctionTimeoutError):
        return "the worker ended"
    return f"{result.message}\n{result.stack}" if isinstance(result, FunctionRaised) else None
