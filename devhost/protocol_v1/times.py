"""How does the protocol write and parse timestamps?"""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(65_536)
def wire_time(at: float) -> str:
    """ISO 8601 with seven fractional digits, as .NET writes it."""
    return f"{datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}0Z"


def status_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> float:
    """A time without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
