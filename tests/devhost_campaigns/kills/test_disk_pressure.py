"""Is everything complete after a disk that fills up again and again, while host and worker are stopped and killed?"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from random import Random

import pytest

from tests.devhost.test_full_disk import empty_disk, fill_disk
from tests.devhost_campaigns.kills.load_and_kills import GOLDEN, KilledHost, host_under_load

SAMPLE_S = 12.0
SOAK_S = float(os.environ.get("TEST_SOAK_S", "900"))


@dataclass(slots=True, kw_only=True)
class Pressure:
    """What happens to a host under load, one thing after another. `counts` has how often."""

    under: KilledHost
    random: Random
    counts: Counter[str] = field(default_factory=Counter[str])

    def press(self, seconds: float) -> None:
        troubles: Sequence[Callable[[], None]] = (
            *(self.full_disk, self.full_disk, self.full_disk),
            *(self.stopped_worker, self.stopped_host, self.killed_worker, self.killed_host),
        )
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            assert self.under.clients.defect is None, self.under.clients.defect
            trouble = self.random.choice(troubles)
            self.counts[trouble.__name__] += 1
            trouble()
            self.pause(0.5)

    def pause(self, longest_s: float) -> None:
        time.sleep(self.random.uniform(0, longest_s))

    def full_disk(self) -> None:
        fill_disk(self.under.host)
        self.pause(2.0)
        empty_disk(self.under.host)

    def stopped_worker(self) -> None:
        """It wakes and goes on, or it is killed while it is stopped."""
        worker = self.under.host.state["worker_pid"]
        os.kill(worker, signal.SIGSTOP)
        self.pause(2.0)
        if self.random.random() < 1 / 2:
            os.kill(worker, signal.SIGCONT)
        else:
            self.killed_worker()

    def stopped_host(self) -> None:
        """Its timers come late then, and the worker's messages wait."""
        process = self.under.host.process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        self.pause(2.0)
        process.send_signal(signal.SIGCONT)

    def killed_worker(self) -> None:
        self.under.kill_one("worker")

    def killed_host(self) -> None:
        self.under.kill_one("host")


def soak(folder: Path, random: Random, seconds: float) -> None:
    with host_under_load(folder, repeat(GOLDEN), random) as under:
        pressure = Pressure(under=under, random=random)
        pressure.press(seconds)
        under.finish()
    print(f"{dict(pressure.counts)}, {len(under.clients.done)} orchestrations ended once and right")  # noqa: T201 - the figure of the campaign


@pytest.mark.campaign
@pytest.mark.timeout(600)
def test_nothing_is_lost_or_doubled_in_seconds_of_disk_pressure(tmp_path: Path, random: Random) -> None:
    soak(tmp_path, random, SAMPLE_S)


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(7200)
def test_nothing_is_lost_or_doubled_in_minutes_of_disk_pressure(tmp_path: Path, random: Random) -> None:
    """TEST_SOAK_S is their length: 15 minutes."""
    soak(tmp_path, random, SOAK_S)
