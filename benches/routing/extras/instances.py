"""What does a GPU service of several instances cost behind the product? `python -m benches.routing.extras.instances`

Beside it, the same requests go straight to the same service, which starts and ends instances as they come. There is no
API, so both serve every request on the GPU. With `count` the product decides how many instances run.
"""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import replace
from itertools import product
from random import Random

from benches.routing.arrivals import TrafficRequest
from benches.routing.cells import GPU, MODEL, Cell, drawn, real
from benches.routing.comparison import PROCESSES
from benches.routing.measured_cells import small
from benches.routing.product import Outcome, VirtualProduct
from benches.routing.services import GpuPoolService, now
from benches.tables import percentile, print_table
from clients.backends.port import BackendError
from tests.fakes.clocks import in_no_time

INSTANCES, ROOM = 3, 8
REQUESTS = 400
RETRY_S = 1.0
"""When a caller without the product asks again after the service refused."""


def cells(requests: int = REQUESTS) -> Iterator[Cell]:
    """Yield cells whose bursts need up to three instances; no policy was developed on their arrivals."""
    seen = (
        (drawn("fives", requests, 6000, seed=11), 20.0, 60.0),
        (drawn("quarters", requests, 4000, seed=11), 60.0, 300.0),
        (drawn("hours", requests, 3000, seed=11), 60.0, 600.0),
        (real("16", requests, day=9.2, days=0.05, seed=11), 20.0, 300.0),
    )
    for arrivals, start_s, idle_s in seen:
        cell = small(arrivals, start_s=start_s, idle_s=idle_s, room=ROOM)
        yield replace_instances(cell)


def replace_instances(cell: Cell, *, counted: bool = False) -> Cell:
    return replace(cell, instances=INSTANCES, counted=counted, counted_idle_s=cell.idle_s)


def busy_s(cell: Cell, request: TrafficRequest) -> float:
    return (
        request.input_tokens / cell.gpu_speed.prefill_tokens_s + request.output_tokens / cell.gpu_speed.decode_tokens_s
    )


async def served_alone(
    cell: Cell, requests: Sequence[TrafficRequest], *, most: int = INSTANCES
) -> tuple[float, Sequence[float], int]:
    """Return what the service costs that gets every request at once, how long each waited, and how often it started."""
    random = Random(f"starts {cell.name}")  # noqa: S311 - draws starts
    pool = GpuPoolService(
        requests={},
        speed=cell.gpu_speed,
        is_counted=False,
        start_s=lambda: cell.start_s * random.lognormvariate(0, cell.spread),
        average_s=cell.start_s,
        concurrency=cell.room,
        idle_s=cell.idle_s,
        max_instances=most,
    )

    async def wait_of(request: TrafficRequest) -> float:
        await asyncio.sleep(request.at)
        while True:
            try:
                async with pool.request():
                    waited_s = now() - request.at
                    await asyncio.sleep(busy_s(cell, request))
                    return waited_s
            except BackendError:
                await asyncio.sleep(RETRY_S)

    waits = await asyncio.gather(*(wait_of(each) for each in requests))
    await asyncio.sleep(2 * cell.idle_s)
    return pool.seconds_after(0) * cell.second_usd, waits, len(pool.lives)


def behind_product(cell: Cell, requests: Sequence[TrafficRequest]) -> Outcome:
    return in_no_time(VirtualProduct(cell=cell, requests=requests, model=f"{MODEL}@{GPU}").run())


def row(case: tuple[Cell, bool]) -> Sequence[str]:
    """Return the figures of the product, and those of the service alone in brackets behind them."""
    cell, counted = case
    requests = cell.arrivals.draw()
    dollars, waits, starts = in_no_time(served_alone(cell, requests))
    found = behind_product(replace_instances(cell, counted=counted), requests)
    quantiles = [
        f"{percentile(found.waits_s, share):.1f} ({percentile(waits, share):.1f})" for share in (0.5, 0.9, 0.99)
    ]
    return (
        cell.name,
        "count" if counted else "provider",
        f"{found.bill_usd:.3f} ({dollars:.3f})",
        f"{found.bill_usd / dollars:.2f}",
        f"{found.ledger_usd / found.bill_usd - 1:+.2%}",
        f"{found.lives} ({starts})",
        str(found.misses),
        *quantiles,
    )


def main() -> None:
    with ProcessPoolExecutor(PROCESSES) as pool:
        rows = list(pool.map(row, product(cells(), (False, True))))
    head = ("room 8, up to 3 instances", "scaling", "$ (alone)", "multiple", "ledger", "starts", "misses")
    print_table((*head, "wait p50, s", "p90", "p99"), rows)


if __name__ == "__main__":
    main()
