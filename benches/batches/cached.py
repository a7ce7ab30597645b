"""How long does an answer from the cache take over HTTP, beside one of a model that answers at once, on SQLite?"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final, NamedTuple

from benches.tables import print_table
from clients.storage.sqlite.store import SqliteStore
from tests.api.harness import Api, api
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock

ANSWERS: Final = 200
REFILL_S: Final = 5.0
"""Between two requests, so that the rate limits have a token for each."""

BODY: Final[dict[str, Any]] = {
    "model": "model",
    "input": "sing",
    "temperature": 0,
    "max_output_tokens": 64,
    "metadata": {"cache_s": "3600"},
}


class Took(NamedTuple):
    """The seconds of a request until its whole answer, and those of the CPU in this process."""

    seconds: float
    cpu_s: float


async def timed(one: Api, *, number: int | None) -> Took:
    """Send a request; without a number it is one that was made before."""
    body = BODY if number is None else BODY | {"input": f"sing {number}"}
    started, cpu = time.perf_counter(), time.process_time()
    answer = await one.create(body)
    took = Took(time.perf_counter() - started, time.process_time() - cpu)
    header = answer.headers["x-ganglion-cache"]
    if (answer.status_code, header) != (200, "miss" if number is not None else "hit"):
        raise RuntimeError(f"{answer.status_code}, {header}")
    await one.orchestrations.ended()
    one.world.clock.advance(REFILL_S)
    return took


def figures(took: Sequence[Took]) -> tuple[float, float, float]:
    """Return the median and the p95 of seconds, and the median of the CPU's."""
    whole = [each.seconds for each in took]
    return median(whole), quantiles(whole, n=20)[-1], median(each.cpu_s for each in took)


async def print_cached() -> None:
    """Print medians and p95 in milliseconds, and how often the model was asked for what the cache had."""
    with tempfile.TemporaryDirectory() as folder:
        clock, model = FakeClock(), FakeBackend(says("four and twenty blackbirds"))
        store = SqliteStore(Path(folder) / "store.sqlite", clock)
        one = api(model, store=store, clock=clock, cache_s=3600.0)
        await one.create(BODY)
        await one.orchestrations.ended()
        asked = [await timed(one, number=number) for number in range(ANSWERS)]
        calls = len(model.calls)
        hits = [await timed(one, number=None) for _ in range(ANSWERS)]
        calls = len(model.calls) - calls
        await store.close()
    rows = [
        (name, *(f"{1000 * each:.1f}" for each in figures(took)))
        for name, took in (("a model that answers at once", asked), ("the cache (limit 25)", hits))
    ]
    print_table(("an answer from", "median, ms", "p95, ms", "CPU, median, ms"), rows)
    ratio = figures(hits)[0] / figures(asked)[0]
    print(f"\nratio {ratio:.2f}; calls of the model for {ANSWERS} hits: {calls}\n")
