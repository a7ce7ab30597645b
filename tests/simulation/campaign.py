"""How are many seeds run, over all processors, and how is a failing one reported?"""

import logging
import multiprocessing
import os
import random
import sys
import traceback
from collections import Counter
from collections.abc import Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.fakes.clocks import LoopClock, in_no_time
from tests.simulation.invariants import check
from tests.simulation.plan import Plan, described, plan_of, shrunk
from tests.simulation.product import Product

CHUNK = 10
LEAST_FAULTS = 5
NO_FAULTS = ("turns", "seeds", "seeds with few faults", "refused for a budget", "given up")
TIMESTAMPS = "azure.durable_functions.models.history.HistoryEvent"
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
"""A folder in memory, where there is one: no run survives its process anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The result of some seeds: what happened in them, and the first failure in words."""

    counts: Counter[str]
    failure: str = ""


@contextmanager
def virtual_host_clock() -> Generator[None]:
    """The durable host has the clock of the run; the SDK parses each timestamp once, although it replays it often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("devhost.clock.time_ns", lambda: int(LoopClock().now() * 1e9))
        module: Any = sys.modules[TIMESTAMPS]
        patch.setattr(module, "dt_parse", lru_cache(4096)(module.dt_parse))
        yield


def run(plan: Plan) -> Product:
    """Run a plan to its end. Raises AssertionError where an invariant is broken, and whatever defects raise."""
    random.seed(plan.seed)
    with virtual_host_clock(), TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        return in_no_time(check(plan, Path(folder)))


def fails(plan: Plan) -> bool:
    try:
        run(plan)
    except Exception:  # noqa: BLE001 - whatever a defect raises
        return True
    return False


def failure_of(plan: Plan, error: Exception) -> str:
    smallest = shrunk(plan, fails)
    frames = "".join(traceback.format_exception(error)[-6:])
    return f"{described(plan)}\nsmallest: {described(smallest)}\n{frames}"


def run_chunk(seeds: Iterable[int]) -> Chunk:
    """Run seeds one after another, up to the first that fails."""
    logging.disable(logging.CRITICAL)
    counts: Counter[str] = Counter()
    for seed in seeds:
        plan = plan_of(seed)
        try:
            product = run(plan)
        except Exception as error:  # noqa: BLE001 - whatever a defect raises
            return Chunk(counts=counts, failure=failure_of(plan, error))
        counts += product.counts + Counter(turns=sum(bool(caller.response) for caller in product.callers))
        counts["seeds" if faults_in(product.counts) >= LEAST_FAULTS else "seeds with few faults"] += 1
    return Chunk(counts=counts)


def silence() -> None:
    """The durable host's console is of no use in a campaign."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def faults_in(counts: Counter[str]) -> int:
    return counts.total() - sum(counts[name] for name in NO_FAULTS)


def run_all(seeds: range) -> Counter[str]:
    """Run seeds on all processors. Raises AssertionError with the first failure, its seed and its smallest plan."""
    chunks = [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]
    counts: Counter[str] = Counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.process_cpu_count(), mp_context=context, initializer=silence) as processes:
        for chunk in processes.map(run_chunk, chunks):
            counts += chunk.counts
            if chunk.failure:
                processes.shutdown(cancel_futures=True)
                raise AssertionError(chunk.failure)
    return counts
