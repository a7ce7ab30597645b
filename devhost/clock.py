"""What time is it, in seconds since 1970?"""

from time import time_ns


def now() -> float:
    return time_ns() / 1e9
