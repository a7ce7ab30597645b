"""What does telemetry add to the CPU time of a turn?

`python -m benches.telemetry [PAIRS]`: pairs of fresh processes, one without telemetry and one that sends all spans
and metrics to an OTLP receiver of this machine. Each process runs 200 turns one after the other, then 200 at once,
of 100 pieces, in the application composed over fakes. Telemetry costs the same for a turn of any length: the share at
streams that last a while follows from the added time and the CPU time of a stream (`python -m benches.streams`).
"""

import asyncio
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

from activities.guard import as_activity
from benches.command_line import chosen_number, counted
from benches.tables import print_table
from clients.backends.port import AnswerEnd, TextPiece
from domain.log.events import TokenUsage
from telemetry.providers import set_up
from telemetry.spans import span
from tests.fakes.backends import FakeBackend
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import World, backend
from tests.telemetry.otlp_receiver import receiving

PAIRS = 5
TURNS = 200
PIECES = 100


def world_of() -> World:
    """Return the product over fakes, its steps wrapped as the host runs them."""
    clock = FakeClock()
    usage = TokenUsage(input_tokens=20, output_tokens=PIECES)
    answer = [*(TextPiece(text=f"{number} ") for number in range(PIECES)), AnswerEnd(reason="stop", usage=usage)]
    client = FakeBackend(*([answer] * (2 * TURNS)))
    world = World(store=MemoryStore(clock), clock=clock, backends={"main": (backend("main"), client)})
    world.steps = {name: as_activity(name, step, clock) for name, step in world.steps.items()}
    return world


async def one_turn(world: World) -> None:
    with span("request", {}):
        response = await world.admit("count", traceparent="")
    await world.run(response)


async def measured() -> tuple[float, float]:
    """Return the CPU milliseconds of a turn: of turns one after the other, and of turns at once."""
    world = world_of()
    began = time.process_time()
    for _ in range(TURNS):
        await one_turn(world)
    alone = time.process_time()
    await asyncio.gather(*(one_turn(world) for _ in range(TURNS)))
    return (alone - began) / TURNS * 1000, (time.process_time() - alone) / TURNS * 1000


def child(choice: str) -> None:
    logging.disable(logging.CRITICAL)
    connecting = set_up(choice, os.environ)
    if connecting:
        connecting.join()
    print(*asyncio.run(measured()), flush=True)


def run(choice: str, url: str) -> tuple[float, float]:
    """Measure in a fresh process."""
    environment = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
    command = [sys.executable, "-m", "benches.telemetry", "--child", choice]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - fixed
    alone_ms, together_ms = done.stdout.split()[-2:]
    return float(alone_ms), float(together_ms)


def main() -> None:
    if "--child" in sys.argv:
        child(sys.argv[-1])
        return
    pairs = chosen_number(PAIRS, "pairs")
    with receiving() as receiver:
        found = [(run("none", receiver.url), run("standard", receiver.url)) for _ in counted(range(pairs), "pairs")]
        spans = len(receiver.spans())
    rows = [
        row(name, [off[side] for off, _ in found], [on[side] for _, on in found])
        for side, name in enumerate(("one after the other", f"{TURNS} at once"))
    ]
    print_table(("CPU of a turn, ms", "without", "added by telemetry", "limit"), rows)
    print(f"\n{spans / (2 * pairs * TURNS):.1f} spans a turn were received.")


def row(name: str, without: Sequence[float], with_telemetry: Sequence[float]) -> tuple[str, ...]:
    added = statistics.median(on - off for off, on in zip(without, with_telemetry, strict=True))
    return name, f"{statistics.median(without):.2f}", f"{added:.2f}", "1.0"


if __name__ == "__main__":
    main()
