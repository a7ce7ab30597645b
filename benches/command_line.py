"""Which number does the command line of a benchmark give it, and how does a long run show that it works?"""

import argparse
import sys
import time
from collections.abc import Collection, Iterator
from typing import Any

PROGRESS_S = 10.0


def chosen_number(default: int, of: str) -> int:
    """Return how many of these the command line asks for; with `-h` or a wrong argument, print the help and end."""
    main: Any = sys.modules["__main__"]
    program = f"python -m {main.__spec__.name.removesuffix('.__main__')}" if main.__spec__ else None
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=program, description=main.__doc__, formatter_class=form)
    parser.add_argument("number", nargs="?", type=number_above_0, default=default, metavar=of.upper())
    chosen: int = parser.parse_args().number
    return chosen


def number_above_0(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {text}")
    return int(text)


def counted[T](each: Collection[T], of: str) -> Iterator[T]:
    """Yield each item; say on stderr every ten seconds how many are done, so that a long run is not silent."""
    said = time.perf_counter()
    for done, item in enumerate(each):
        if time.perf_counter() - said >= PROGRESS_S:
            said = time.perf_counter()
            report(f"{done} of {len(each)} {of}")
        yield item


def report(text: str) -> None:
    """Say on stderr what a benchmark is doing; its tables go to stdout alone."""
    print(f"  {text} ...", file=sys.stderr, flush=True)
