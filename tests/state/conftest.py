"""Which clock and which store do the tests of the product's state use?"""

import pytest

from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(clock)
